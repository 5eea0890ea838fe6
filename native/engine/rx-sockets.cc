#include "rx-sockets.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace weft {
namespace {

/// Data of a listener in the epoll set: past every socket index.
constexpr uint64_t listenerTag = 1ULL << 32;
/// Streams may live this much past their time.
constexpr uint64_t expiryStepMs = 250;

bool isShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

RxSockets::RxSockets(std::span<const UdpSocket> fixed, Mailbox& tx, UpcallRing& upcalls,
                     ThreadCounters& counters)
    : table_(fixed), tx_(tx), upcalls_(upcalls), counters_(counters) {}

RxSockets::~RxSockets() {
  closeAll();
  if (epoll_ >= 0) ::close(epoll_);
}

bool RxSockets::open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  return epoll_ >= 0;
}

std::span<const SocketIndex> RxSockets::serve(uint64_t nowMs) {
  readable_.clear();
  readable_.swap(hungry_);
  std::array<epoll_event, limits::socketsPerTurn> events;
  const int count = epoll_wait(epoll_, events.data(), events.size(), 0);
  for (int i = 0; i < count; i++) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.u64 >= listenerTag) {
      const auto& listener = listeners_[event.data.u64 - listenerTag];
      if (listener != nullptr) accept(nowMs, *listener);
      continue;
    }
    const auto index = static_cast<SocketIndex>(event.data.u64);
    const ExtraSocket socket = table_.extra(index);
    if (socket.stream != nullptr) {
      if (!socket.stream->open()) advance(nowMs, index, socket.stream);
      if ((event.events & EPOLLOUT) != 0) socket.stream->resume();
    }
    const bool known = std::find(readable_.begin(), readable_.end(), index) != readable_.end();
    if (socket && !known) readable_.push_back(index);
  }
  return readable_;
}

void RxSockets::accept(uint64_t nowMs, const Listener& listener) {
  for (size_t i = 0; i < limits::streamAcceptsPerTurn; i++) {
    SocketAddress address{};
    address.bytes = sizeof address.v6;
    const int fd =
        accept4(listener.fd(), &address.any, &address.bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (isShortage(errno)) pauseAccepts(nowMs);
      return;
    }
    const Endpoint from = fromSocketAddress(address);
    if (acceptLimits_.admits(nowMs, from)) {
      take(nowMs, fd, from);
    } else {
      counters_.drop(DropReason::rateLimited);
      ::close(fd);
    }
  }
}

void RxSockets::pauseAccepts(uint64_t nowMs) {
  counters_.drop(DropReason::socketError);
  watchListeners(EPOLL_CTL_MOD, 0);
  acceptAgainMs_ = nowMs + limits::acceptRetryMs;
}

void RxSockets::watchListeners(int operation, uint32_t events) {
  for (size_t i = 0; i < listeners_.size(); i++) {
    if (listeners_[i] == nullptr) continue;
    epoll_event event{};
    event.events = events;
    event.data.u64 = listenerTag + i;
    epoll_ctl(epoll_, operation, listeners_[i]->fd(), &event);
  }
}

void RxSockets::take(uint64_t nowMs, int fd, const Endpoint& from) {
  const SocketIndex index = makeRoom(from) ? freeIndex() : SocketIndex{0};
  if (index == 0) {
    counters_.drop(DropReason::streamFull);
    ::close(fd);
    return;
  }
  const std::shared_ptr<Stream> stream = Stream::accept(fd, from);
  if (stream != nullptr) add(nowMs, index, {nullptr, stream});
}

/// Whether one more stream from there may come; the oldest of too many unproven ones makes way.
bool RxSockets::makeRoom(const Endpoint& from) {
  StreamCounts counts;
  SocketIndex oldest = 0;
  for (const SocketIndex index : streams_) {
    const Stream& stream = *table_.stream(index);
    if (!stream.accepted()) continue;
    const bool same = sourceKey(stream.peer()) == sourceKey(from);
    if (same) counts.ofSource++;
    if (stream.provenBy != 0) continue;
    if (counts.unproven++ == 0) oldest = index;
    if (same) counts.unprovenOfSource++;
  }
  const StreamRoom room = roomFor(counts);
  if (room == StreamRoom::oldestUnproven) end(oldest, table_.extra(oldest).stream);
  return room != StreamRoom::none;
}

/// Indexes go round, so that a command for a stream that just ended does not meet its successor.
/// Zero when all are taken.
SocketIndex RxSockets::freeIndex() {
  for (size_t tries = limits::acceptedStreams; tries < limits::sockets; tries++) {
    const SocketIndex index = nextAccepted_++;
    if (nextAccepted_ >= limits::sockets) nextAccepted_ = limits::acceptedStreams;
    if (!table_.extra(index)) return index;
  }
  return 0;
}

void RxSockets::add(uint64_t nowMs, SocketIndex index, ExtraSocket socket) {
  close(index, table_.extra(index));  // the core took the index again
  table_.set(index, socket);
  if (socket.udp != nullptr) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, socket.udp->fd(), &event);
    return;
  }
  streams_.push_back(index);
  socket.stream->deadlineMs = nowMs + limits::streamSetupMs;
  if (!socket.stream->watch(epoll_, index)) fail(index, socket.stream, SocketFailure::limit);
}

void RxSockets::advance(uint64_t nowMs, SocketIndex index, const std::shared_ptr<Stream>& stream) {
  switch (stream->advance()) {
    case Stream::Setup::pending: return;
    case Stream::Setup::open: return announce(nowMs, index, *stream);
    case Stream::Setup::failed: return fail(index, stream, stream->failure());
  }
}

void RxSockets::announce(uint64_t nowMs, SocketIndex index, Stream& stream) {
  SocketOpenedUpcall upcall{index, stream.peer().family, stream.localPort(), std::nullopt};
  stream.deadlineMs = UINT64_MAX;
  if (stream.accepted()) {
    stream.deadlineMs = nowMs + limits::streamProveMs;
    upcall.from = stream.peer();
    // Before the core learns of it: its commands must find the stream.
    counters_.drop(tx_.post(Mail(StreamOpen{index, {}, {}}, nullptr, table_.extra(index))));
  }
  push(std::move(upcall));
}

void RxSockets::fail(SocketIndex index, const std::shared_ptr<Stream>& stream,
                     SocketFailure reason) {
  if (stream->open()) return end(index, stream);
  forget(index, stream);
  if (!stream->accepted()) push(SocketFailedUpcall{index, reason});
}

void RxSockets::end(SocketIndex index, const std::shared_ptr<Stream>& stream) {
  if (stream == nullptr || table_.stream(index) != stream.get()) return;
  if (!stream->open()) return fail(index, stream, stream->failure());
  forget(index, stream);
  push(SocketClosedUpcall{index});
}

void RxSockets::forget(SocketIndex index, const std::shared_ptr<Stream>& stream) {
  counters_.drop(tx_.post(Mail(SocketClose{index}, nullptr, {nullptr, stream})));
  close(index, {nullptr, stream});
}

/// Only that very socket: the index may have another one by now.
void RxSockets::close(SocketIndex index, const ExtraSocket& socket) {
  if (!socket || table_.extra(index) != socket) return;
  table_.take(index);
  if (socket.stream != nullptr) {
    std::erase(streams_, index);
    socket.stream->close();
  } else {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, socket.udp->fd(), nullptr);
  }
}

void RxSockets::prove(uint64_t nowMs, SocketIndex index, SessionId by) {
  Stream* stream = table_.stream(index);
  if (stream == nullptr || !stream->accepted()) return;
  stream->deadlineMs = nowMs + limits::streamSilentMs;
  if (stream->provenBy != 0) return;
  stream->provenBy = by;
  endOldestOf(by, index);
}

/// A member that opens one stream after the other holds a few places, not all.
void RxSockets::endOldestOf(SessionId session, SocketIndex newest) {
  size_t others = 0;
  SocketIndex oldest = 0;
  for (const SocketIndex index : streams_) {
    if (index == newest || table_.stream(index)->provenBy != session) continue;
    if (others++ == 0) oldest = index;
  }
  if (others < limits::streamsPerSession) return;
  counters_.drop(DropReason::streamFull);
  end(oldest, table_.extra(oldest).stream);
}

void RxSockets::listen(Listeners listeners, uint16_t port) {
  watchListeners(EPOLL_CTL_DEL, 0);
  listeners_ = std::move(listeners);
  watchListeners(EPOLL_CTL_ADD, EPOLLIN);
  acceptAgainMs_ = UINT64_MAX;
  if (port != 0) push(ListeningUpcall{port});
}

void RxSockets::closeAll() {
  for (const SocketIndex index : streams_) table_.stream(index)->close();
  streams_.clear();
  table_.clear();
  listeners_ = {};
}

void RxSockets::runTimers(uint64_t nowMs) {
  if (acceptAgainMs_ <= nowMs) {
    acceptAgainMs_ = UINT64_MAX;
    watchListeners(EPOLL_CTL_MOD, EPOLLIN);
  }
  const std::vector<SocketIndex> all = streams_;
  for (const SocketIndex index : all) {
    const std::shared_ptr<Stream> stream = table_.extra(index).stream;
    if (stream == nullptr || stream->deadlineMs > nowMs) continue;
    if (stream->open()) {
      end(index, stream);
    } else {
      fail(index, stream, SocketFailure::timedOut);
    }
  }
}

uint64_t RxSockets::timerMs(uint64_t nowMs) const {
  return std::min(acceptAgainMs_, streams_.empty() ? UINT64_MAX : nowMs + expiryStepMs);
}

void RxSockets::push(Upcall&& upcall) {
  if (!upcalls_.push(std::move(upcall))) counters_.drop(DropReason::upcallFull);
}

}  // namespace weft
