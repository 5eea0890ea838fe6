#include "stream.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "engine-limits.h"
#include "http-connect.h"
#include "socket-failure.h"
#include "udp-socket.h"

namespace weft {
namespace {

void setOption(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

/// Small delays, little waiting inside the kernel, and an end for peers that are gone. None of them
/// is needed for a stream to work.
void tune(int fd) {
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  setOption(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, limits::streamUnsentBytes);
  setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, limits::streamUnansweredMs);
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, limits::streamProbeIdleSeconds);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace

Stream::Stream(int fd, const Endpoint& peer, bool accepted)
    : peer_(peer), accepted_(accepted), fd_(fd) {
  tune(fd);
}

Stream::~Stream() { close(); }

std::variant<std::shared_ptr<Stream>, SocketFailure> Stream::connect(const StreamOpen& open) {
  const Endpoint& first = open.proxy ? open.proxy->endpoint : open.to;
  const int family = first.family == Family::v6 ? AF_INET6 : AF_INET;
  const int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return socketFailureOf(errno);
  std::shared_ptr<Stream> stream(new Stream(fd, open.to, false));
  stream->proxy_ = open.proxy;
  stream->awaited_ = EPOLLOUT;
  const SocketAddress address = toSocketAddress(first);
  if (::connect(fd, &address.any, address.bytes) != 0 && errno != EINPROGRESS) {
    return socketFailureOf(errno);
  }
  return stream;
}

std::shared_ptr<Stream> Stream::accept(int fd, const Endpoint& from) {
  std::shared_ptr<Stream> stream(new Stream(fd, from, true));
  stream->awaited_ = EPOLLIN;  // the client speaks first
  return stream->prepareTls(TlsSession::Side::server) ? stream : nullptr;
}

DropReason Stream::append(Bytes datagram) {
  if (datagram.empty() || datagram.size() > limits::streamDatagramBytes) {
    return DropReason::tooLong;
  }
  const std::lock_guard lock(mutex_);
  if (!open_) return DropReason::noSocket;
  if (out_.size() - sent_ + streamLengthBytes + datagram.size() > limits::streamSendBytes) {
    return DropReason::streamFull;
  }
  std::array<uint8_t, streamLengthBytes> length;
  storeLe(length.data(), static_cast<uint16_t>(datagram.size()));
  out_.insert(out_.end(), length.begin(), length.end());
  out_.insert(out_.end(), datagram.begin(), datagram.end());
  return DropReason::none;
}

void Stream::flush() {
  const std::lock_guard lock(mutex_);
  if (open_ && (awaited_ & EPOLLOUT) == 0) write();
}

void Stream::resume() {
  const std::lock_guard lock(mutex_);
  if (open_) write();
}

void Stream::write() {
  while (sent_ < out_.size()) {
    const auto [outcome, bytes] = tls_->write(&out_[sent_], out_.size() - sent_);
    if (outcome != TlsSession::Outcome::done) {
      // A broken connection wakes the RX thread, which closes it.
      if (outcome == TlsSession::Outcome::failed) shutdown(fd_, SHUT_RDWR);
      out_.erase(out_.begin(), out_.begin() + static_cast<long>(std::exchange(sent_, 0)));
      return await(outcome == TlsSession::Outcome::wantsWrite ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
    sent_ += bytes;
  }
  out_.clear();
  sent_ = 0;
  await(EPOLLIN);
}

Stream::Setup Stream::advance() {
  switch (phase_) {
    case Phase::tcp: return connected();
    case Phase::proxy: return readProxyAnswer();
    case Phase::tls: return shakeHands();
    case Phase::open: return Setup::open;
    case Phase::closed: break;
  }
  return Setup::failed;
}

Stream::Setup Stream::fail(SocketFailure reason) {
  failure_ = reason;
  return Setup::failed;
}

/// The connection stands or failed; a proxy is asked before TLS begins.
Stream::Setup Stream::connected() {
  int error = 0;
  socklen_t bytes = sizeof error;
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &bytes);
  if (error != 0) return fail(socketFailureOf(error));
  if (!proxy_) return startTls();
  const std::string request = connectRequest(peer_, proxy_->authorization);
  const ssize_t sent = send(fd_, request.data(), request.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request.size())) return fail(SocketFailure::proxyRefused);
  phase_ = Phase::proxy;
  await(EPOLLIN);
  return Setup::pending;
}

Stream::Setup Stream::readProxyAnswer() {
  std::array<char, limits::proxyAnswerBytes> buffer;
  const ssize_t bytes = recv(fd_, buffer.data(), buffer.size() - answer_.size(), 0);
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return Setup::pending;
  if (bytes <= 0) return fail(SocketFailure::proxyRefused);
  answer_.append(buffer.data(), static_cast<size_t>(bytes));
  switch (judgeConnectAnswer(answer_)) {
    case ConnectAnswer::incomplete: return Setup::pending;
    case ConnectAnswer::open: return startTls();
    case ConnectAnswer::wantsAuthorization: return fail(SocketFailure::proxyAuthorization);
    case ConnectAnswer::refused:
    case ConnectAnswer::malformed: break;
  }
  return fail(SocketFailure::proxyRefused);
}

Stream::Setup Stream::startTls() {
  return prepareTls(TlsSession::Side::client) ? shakeHands() : fail(SocketFailure::unsupported);
}

bool Stream::prepareTls(TlsSession::Side side) {
  auto session = TlsSession::make(side, fd_);
  if (!session) return false;
  tls_.emplace(std::move(*session));
  phase_ = Phase::tls;
  return true;
}

Stream::Setup Stream::shakeHands() {
  switch (tls_->handshake()) {
    case TlsSession::Outcome::wantsRead: await(EPOLLIN); return Setup::pending;
    case TlsSession::Outcome::wantsWrite: await(EPOLLOUT); return Setup::pending;
    case TlsSession::Outcome::failed: return fail(SocketFailure::tls);
    case TlsSession::Outcome::done: break;
  }
  phase_ = Phase::open;
  const std::lock_guard lock(mutex_);
  open_ = true;
  await(EPOLLIN);
  return Setup::open;
}

uint16_t Stream::localPort() const {
  SocketAddress address{};
  address.bytes = sizeof address.v6;
  if (getsockname(fd_, &address.any, &address.bytes) != 0) return 0;
  return fromSocketAddress(address).port;
}

bool Stream::watch(int epoll, uint64_t index) {
  epoll_event event{};
  event.events = awaited_;
  event.data.u64 = index;
  epoll_ = epoll;
  index_ = index;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd_, &event) == 0;
}

/// Any thread may say so: the kernel's set has its own lock.
void Stream::await(uint32_t events) {
  if (std::exchange(awaited_, events) == events || epoll_ < 0) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = index_;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &event);
}

Stream::Reading Stream::read(std::span<uint8_t> buffer,
                             std::vector<std::span<uint8_t>>& datagrams) {
  datagrams.clear();
  size_t filled = frames_.begin(buffer);
  Reading state = Reading::more;
  while (filled < limits::streamReadBytes) {
    const auto [outcome, bytes] = readTls(buffer.subspan(filled));
    filled += bytes;
    if (outcome == TlsSession::Outcome::done) continue;
    state = outcome == TlsSession::Outcome::failed ? Reading::ended : Reading::drained;
    break;
  }
  const auto list = [&datagrams](std::span<uint8_t> each) { datagrams.push_back(each); };
  return frames_.split(buffer.first(filled), list) ? state : Reading::garbled;
}

TlsSession::Transfer Stream::readTls(std::span<uint8_t> into) {
  const std::lock_guard lock(mutex_);
  if (!open_) return {};
  const TlsSession::Transfer transfer = tls_->read(into.data(), into.size());
  if (transfer.outcome == TlsSession::Outcome::wantsWrite) await(EPOLLIN | EPOLLOUT);
  return transfer;
}

void Stream::close() {
  phase_ = Phase::closed;
  const std::lock_guard lock(mutex_);
  if (tls_ && open_) tls_->sayGoodbye();
  open_ = false;
  tls_.reset();
  if (epoll_ >= 0) epoll_ctl(epoll_, EPOLL_CTL_DEL, fd_, nullptr);
  epoll_ = -1;
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  closed_.store(true, std::memory_order_release);
}

}  // namespace weft
