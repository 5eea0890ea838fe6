#include "udp-socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "engine-limits.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace weft {
namespace {

bool setOption(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

std::string describe(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = "";
  const bool v6 = endpoint.family == Family::v6;
  inet_ntop(v6 ? AF_INET6 : AF_INET, endpoint.ip.data(), text, sizeof text);
  return (v6 ? "[" + std::string(text) + "]" : std::string(text)) + ":" +
         std::to_string(endpoint.port);
}

/// PROBE sets DF, ignores what ICMP claims about the path, and reports EMSGSIZE only for our own
/// link.
bool forbidFragments(int fd, bool v6) {
  return v6 ? setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
                  setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE)
            : setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

/// The FORCE forms need CAP_NET_ADMIN; without it the kernel's own limit holds.
void growBuffers(int fd) {
  if (!setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, limits::socketBufferBytes)) {
    setOption(fd, SOL_SOCKET, SO_RCVBUF, limits::socketBufferBytes);
  }
  if (!setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, limits::socketBufferBytes)) {
    setOption(fd, SOL_SOCKET, SO_SNDBUF, limits::socketBufferBytes);
  }
}

OpenError failure(const char* what, const Endpoint& endpoint) {
  const int error = errno;
  const bool denied = error == EACCES || error == EPERM;
  return {denied ? OpenErrorCode::notPermitted : OpenErrorCode::socket,
          std::string(what) + " UDP " + describe(endpoint) + ": " + strerror(error), error};
}

}  // namespace

SocketAddress toSocketAddress(const Endpoint& endpoint) {
  SocketAddress address{};
  if (endpoint.family == Family::v6) {
    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_port = htons(endpoint.port);
    memcpy(&address.v6.sin6_addr, endpoint.ip.data(), 16);
    address.bytes = sizeof address.v6;
  } else {
    address.v4.sin_family = AF_INET;
    address.v4.sin_port = htons(endpoint.port);
    memcpy(&address.v4.sin_addr, endpoint.ip.data(), 4);
    address.bytes = sizeof address.v4;
  }
  return address;
}

Endpoint fromSocketAddress(const SocketAddress& address) {
  Endpoint endpoint;
  if (address.any.sa_family == AF_INET6) {
    endpoint.family = Family::v6;
    memcpy(endpoint.ip.data(), &address.v6.sin6_addr, 16);
    endpoint.port = ntohs(address.v6.sin6_port);
  } else {
    memcpy(endpoint.ip.data(), &address.v4.sin_addr, 4);
    endpoint.port = ntohs(address.v4.sin_port);
  }
  return endpoint;
}

Opened<UdpSocket> UdpSocket::open(const Ip& ip, uint16_t port, bool wantGro) {
  UdpSocket opened;
  opened.bound_ = {ip.bytes, ip.family, port};
  const bool v6 = ip.family == Family::v6;
  opened.fd_ = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (opened.fd_ < 0) return failure("cannot open", opened.bound_);
  if (!forbidFragments(opened.fd_, v6)) return failure("cannot set up", opened.bound_);
  growBuffers(opened.fd_);
  SocketAddress address = toSocketAddress(opened.bound_);
  if (bind(opened.fd_, &address.any, address.bytes) != 0) {
    return failure("cannot bind", opened.bound_);
  }
  if (getsockname(opened.fd_, &address.any, &address.bytes) != 0) {
    return failure("cannot ask for the address of", opened.bound_);
  }
  opened.bound_ = fromSocketAddress(address);
  opened.coalesces_ = wantGro && setOption(opened.fd_, IPPROTO_UDP, UDP_GRO, 1);
  return opened;
}

UdpSocket::UdpSocket(UdpSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), bound_(other.bound_), coalesces_(other.coalesces_) {}

UdpSocket& UdpSocket::operator=(UdpSocket&& other) noexcept {
  std::swap(fd_, other.fd_);
  bound_ = other.bound_;
  coalesces_ = other.coalesces_;
  return *this;
}

void UdpSocket::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

bool kernelHasUdpSegment() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool has = setOption(fd, IPPROTO_UDP, UDP_SEGMENT, 1200);
  ::close(fd);
  return has;
}

}  // namespace weft
