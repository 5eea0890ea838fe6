// UDP sockets opened by command: both families, hop limits, and closing under traffic.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "host.h"
#include "udp-socket.h"

namespace {

using namespace weft;
using namespace weft::test;

/// A bare socket on a loopback address that sees hop limits.
class HopReader {
 public:
  explicit HopReader(Family family) {
    const bool v6 = family == Family::v6;
    fd_ = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Endpoint any = loopback(0);
    if (v6) any = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, Family::v6, 0};
    SocketAddress address = toSocketAddress(any);
    bound_ = bind(fd_, &address.any, address.bytes) == 0;
    getsockname(fd_, &address.any, &address.bytes);
    endpoint_ = fromSocketAddress(address);
    const int on = 1;
    setsockopt(fd_, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVHOPLIMIT : IP_RECVTTL, &on,
               sizeof on);
  }
  ~HopReader() { close(fd_); }
  bool bound() const { return bound_; }
  Endpoint endpoint() const { return endpoint_; }

  /// Hop limit and sender's port of the next datagram; zeros when none comes.
  std::pair<int, uint16_t> next() {
    pollfd wait{fd_, POLLIN, 0};
    if (poll(&wait, 1, 2000) <= 0) return {0, 0};
    SocketAddress from{};
    char byte[64];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec piece{byte, sizeof byte};
    msghdr header{};
    header.msg_name = &from.any;
    header.msg_namelen = sizeof from.v6;
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    if (recvmsg(fd_, &header, 0) < 0) return {0, 0};
    int hops = 0;
    if (cmsghdr* at = CMSG_FIRSTHDR(&header)) memcpy(&hops, CMSG_DATA(at), sizeof hops);
    return {hops, fromSocketAddress(from).port};
  }

 private:
  int fd_ = -1;
  bool bound_ = false;
  Endpoint endpoint_;
};

Datagram datagramTo(SocketIndex socket, const Endpoint& to, std::optional<uint8_t> ttl) {
  static const std::vector<uint8_t> bytes(40, 192);
  Datagram datagram;
  datagram.socket = socket;
  datagram.to = to;
  datagram.bytes = bytes;
  datagram.ttl = ttl;
  return datagram;
}

}  // namespace

TEST("sockets: hop limits hold for sockets by command, in both families") {
  Host host;
  CHECK(host.ok());
  for (const Family family : {Family::v4, Family::v6}) {
    HopReader reader(family);
    if (!reader.bound()) continue;  // a machine without IPv6
    host.apply({SocketOpen{5, family, 0}});
    const auto opened = host.await<SocketOpenedUpcall>();
    CHECK(opened.has_value());
    CHECK(opened->family == family);
    host.apply({datagramTo(5, reader.endpoint(), 3), datagramTo(5, reader.endpoint(), std::nullopt),
                datagramTo(5, reader.endpoint(), 255), SocketClose{5}});
    for (const int hops : {3, 64, 255}) {
      const auto [seen, port] = reader.next();
      CHECK_EQ(seen, hops);
      CHECK_EQ(port, opened->port);
    }
  }
}

TEST("sockets: a family is not mixed with the other, an unknown index sends nothing") {
  Host host;
  CHECK(host.ok());
  Wire wire;
  Endpoint v6 = wire.endpoint();
  v6.family = Family::v6;
  host.apply({SocketOpen{5, Family::v4, 0}, datagramTo(5, v6, std::nullopt),
              datagramTo(6, wire.endpoint(), std::nullopt),
              datagramTo(65'535, wire.endpoint(), std::nullopt)});
  CHECK(host.awaitDrops(DropReason::socketError, 1));
  CHECK(host.awaitDrops(DropReason::noSocket, 2));
}

TEST("sockets: open, move the session over and close, while frames flow") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(80));
  for (SocketIndex index = 1; index < 60; index++) {
    Path path = directPath(1, 0, b.endpoint());
    path.to = DirectTarget{index, b.endpoint()};
    a.apply({SocketOpen{index, Family::v4, 0}, path});
    a.inject(frameAB(std::vector<uint8_t>(100, static_cast<uint8_t>(index))));
    CHECK(b.readTap().has_value());
    a.apply({SocketClose{index}});
  }
  a.inject(frameAB({}));
  CHECK(a.awaitDrops(DropReason::noSocket, 1));
}
