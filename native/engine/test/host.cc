#include "host.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "clock.h"
#include "harness.h"
#include "udp-socket.h"

namespace weft::test {
namespace {

void ringDoorbell(void* context) {
  const uint64_t one = 1;
  (void)!write(*static_cast<int*>(context), &one, sizeof one);
}

bool readable(int fd, int timeoutMs) {
  pollfd wait{fd, POLLIN, 0};
  return poll(&wait, 1, timeoutMs) > 0;
}

}  // namespace

uint64_t testClockMs() { return clockMs(); }

KeyPair KeyPair::make(uint64_t seed, Cipher cipher) {
  Random random(seed);
  KeyPair made;
  made.forth = random.bytes(36);
  made.back = random.bytes(36);
  made.hereReceive = static_cast<uint32_t>(random.next()) | 1;
  made.thereReceive = static_cast<uint32_t>(random.next()) | 1;
  made.cipher = cipher;
  return made;
}

Keys KeyPair::forFirst(SessionId session, KeyUse use) const {
  Keys keys;
  keys.session = session;
  keys.receive = hereReceive;
  keys.send = thereReceive;
  keys.use = use;
  keys.cipher = cipher;
  keys.sealing = {Bytes(forth).first(32), Bytes(forth).subspan(32)};
  keys.opening = {Bytes(back).first(32), Bytes(back).subspan(32)};
  keys.rejectAfterMs = 180'000;
  return keys;
}

Keys KeyPair::forSecond(SessionId session, KeyUse use) const {
  Keys keys = forFirst(session, use);
  std::swap(keys.receive, keys.send);
  std::swap(keys.sealing, keys.opening);
  return keys;
}

Host::Host(const HostOptions& options) : options_(options) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) return;
  tapFd_ = pair[0];
  doorbell_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  const int big = 4 << 20;
  for (int fd : pair) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
  Options engineOptions;
  engineOptions.sockets = {anyLoopbackPort()};
  TapOffloads offloads;
  if (options.superframes) offloads = {true, true, true};
  engineOptions.tap = TapDescriptor{pair[1], options.vnetHeader, offloads};
  engineOptions.offloads = options.offloads;
  engineOptions.doorbell = ringDoorbell;
  engineOptions.doorbellContext = &doorbell_;
  auto opened = Engine::open(engineOptions);
  if (auto* error = std::get_if<OpenError>(&opened)) {
    std::printf("  engine: %s\n", error->message.c_str());
    return;
  }
  engine_ = std::move(*std::get_if<std::unique_ptr<Engine>>(&opened));
}

Host::~Host() {
  engine_.reset();
  closeTap();
  if (doorbell_ >= 0) close(doorbell_);
}

void Host::closeTap() {
  if (tapFd_ >= 0) close(tapFd_);
  tapFd_ = -1;
}

void Host::inject(const Frame& frame, const VnetHeader& vnet) {
  Frame bytes;
  if (options_.vnetHeader) {
    bytes.resize(sizeof vnet);
    std::memcpy(bytes.data(), &vnet, sizeof vnet);
  }
  bytes.insert(bytes.end(), frame.begin(), frame.end());
  pollfd wait{tapFd_, POLLOUT, 0};
  while (write(tapFd_, bytes.data(), bytes.size()) < 0 && poll(&wait, 1, 1000) > 0) {
  }
}

std::optional<TapRead> Host::readTap(int timeoutMs) {
  if (!readable(tapFd_, patience(timeoutMs))) return std::nullopt;
  std::vector<uint8_t> buffer(70'000);
  const ssize_t bytes = read(tapFd_, buffer.data(), buffer.size());
  const size_t prefix = options_.vnetHeader ? sizeof(VnetHeader) : 0;
  if (bytes < static_cast<ssize_t>(prefix)) return std::nullopt;
  TapRead result;
  if (prefix != 0) std::memcpy(&result.vnet, buffer.data(), prefix);
  result.frame.assign(buffer.begin() + static_cast<long>(prefix), buffer.begin() + bytes);
  return result;
}

bool Host::awaitDrops(DropReason reason, uint64_t count, int timeoutMs) {
  return awaitCount([reason](const Counters& counters) { return counters.of(reason); }, count,
                    timeoutMs);
}

bool Host::awaitCount(const std::function<uint64_t(const Counters&)>& of, uint64_t count,
                      int timeoutMs) {
  const uint64_t deadline = clockMs() + static_cast<uint64_t>(patience(timeoutMs));
  while (of(engine_->counters()) < count) {
    if (clockMs() >= deadline) return false;
    poll(nullptr, 0, 1);
  }
  return true;
}

bool Host::pump(int timeoutMs) {
  if (!readable(doorbell_, timeoutMs)) return false;
  uint64_t count;
  (void)!read(doorbell_, &count, sizeof count);
  engine_->drain(upcalls_);
  return true;
}

Wire::Wire() {
  fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  SocketAddress address = toSocketAddress(loopback(0));
  bind(fd_, &address.any, address.bytes);
  getsockname(fd_, &address.any, &address.bytes);
  endpoint_ = fromSocketAddress(address);
}

Wire::~Wire() { close(fd_); }

void Wire::send(const Endpoint& to, Bytes datagram) {
  const SocketAddress address = toSocketAddress(to);
  (void)!sendto(fd_, datagram.data(), datagram.size(), 0, &address.any, address.bytes);
}

std::optional<std::vector<uint8_t>> Wire::receive(int timeoutMs) {
  if (!readable(fd_, patience(timeoutMs))) return std::nullopt;
  std::vector<uint8_t> buffer(65'536);
  const ssize_t bytes = recv(fd_, buffer.data(), buffer.size(), 0);
  if (bytes < 0) return std::nullopt;
  buffer.resize(static_cast<size_t>(bytes));
  return buffer;
}

Endpoint loopback(uint16_t port) { return {{127, 0, 0, 1}, Family::v4, port}; }
SocketOptions anyLoopbackPort() { return {ipv4(127, 0, 0, 1), 0}; }

Path directPath(SessionId session, PathIndex index, const Endpoint& to, uint16_t maxDatagram) {
  Path path;
  path.session = session;
  path.path = index;
  path.to = DirectTarget{0, to};
  path.maxDatagram = maxDatagram;
  return path;
}

Forward forwardTo(const Mac& mac, SessionId session) {
  Forward forward;
  forward.mac = mac;
  forward.to = session;
  forward.ttlMs = 60'000;
  return forward;
}

Forward forwardLocal(const Mac& mac) {
  Forward forward;
  forward.mac = mac;
  forward.to = ForwardLocal{};
  forward.ttlMs = 60'000;
  return forward;
}

Filter filterFor(SessionId session, const Mac& mac, const std::vector<Ip>& ips) {
  Filter filter;
  filter.session = session;
  filter.entries = {{mac, ips}};
  return filter;
}

void openSession(Host& host, SessionId id, const Keys& keys, const Endpoint& peer,
                 uint16_t maxDatagram) {
  host.apply({SessionOpen{id}, keys, directPath(id, 0, peer, maxDatagram), PathActive{id, 0}});
}

void join(Host& a, Host& b, const KeyPair& keys, uint16_t maxDatagram) {
  openSession(a, 1, keys.forFirst(1, KeyUse::now), b.endpoint(), maxDatagram);
  openSession(b, 1, keys.forSecond(1, KeyUse::now), a.endpoint(), maxDatagram);
  a.apply({forwardTo(macB, 1), forwardLocal(macA), filterFor(1, macB, {ipOfB, ipv6(2)})});
  b.apply({forwardTo(macA, 1), forwardLocal(macB), filterFor(1, macA, {ipOfA, ipv6(1)})});
}

Frame frameAB(Bytes payload) { return udp(macB, macA, ipOfA, ipOfB, 1000, 2000, payload); }
Frame frameBA(Bytes payload) { return udp(macA, macB, ipOfB, ipOfA, 2000, 1000, payload); }

}  // namespace weft::test
