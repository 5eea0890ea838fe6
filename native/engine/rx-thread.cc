#include "rx-thread.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "clock.h"

namespace weft {
namespace {

/// Held frames may live this much past their time.
constexpr uint64_t expiryStepMs = 250;

}  // namespace

RxThread::RxThread(const Parts& parts, const Admission& admission, bool segmentation)
    : sockets_(parts.sockets),
      upcalls_(parts.upcalls),
      extra_(parts.sockets, parts.tx, parts.upcalls, counters_),
      strangers_(admission),
      tapWriter_(parts.tap, counters_),
      relays_(extra_.table(), segmentation, false, upcalls_, counters_),
      readable_(parts.sockets.size(), 0) {}

bool RxThread::start() {
  return extra_.open() &&
         thread_.start("weft-rx", [](void* self) { static_cast<RxThread*>(self)->run(); }, this);
}

void RxThread::run() {
  while (!thread_.stopping()) {
    sleep();
    nowMs_ = clockMs();
    if (thread_.mailbox().pending()) readMail();
    for (SocketIndex i = 0; i < sockets_.size(); i++) {
      if (readable_[i] != 0) readSocket(i, sockets_[i]);
    }
    if (extraReadable_) {
      for (const SocketIndex index : extra_.serve(nowMs_)) readExtra(index);
      nextTimerMs_ = std::min(nextTimerMs_, extra_.timerMs(nowMs_));
    }
    if (nowMs_ >= nextTimerMs_) runTimers();
  }
  // Here, where SIGPIPE is blocked and OpenSSL's errors stay with this thread: the goodbye of a
  // stream that just broke would leave either with the owner's.
  extra_.closeAll();
}

void RxThread::sleep() {
  std::array<pollfd, limits::fixedSockets + 2> waits;
  waits[0] = {thread_.mailbox().wake().fd(), POLLIN, 0};
  waits[1] = {extra_.epollFd(), POLLIN, 0};
  for (size_t i = 0; i < sockets_.size(); i++) waits[i + 2] = {sockets_[i].fd(), POLLIN, 0};
  uint64_t untilMs = std::min(nextTimerMs_, nowMs_ + limits::idleMs);
  if (extra_.hungry()) untilMs = nowMs_;
  const int timeout = static_cast<int>(untilMs > nowMs_ ? untilMs - nowMs_ : 0);
  const int ready = poll(waits.data(), sockets_.size() + 2, timeout);
  if (ready > 0 && (waits[0].revents & POLLIN) != 0) thread_.mailbox().wake().clear();
  extraReadable_ = extra_.hungry() || (ready > 0 && waits[1].revents != 0);
  for (size_t i = 0; i < sockets_.size(); i++) {
    readable_[i] = ready > 0 && waits[i + 2].revents != 0;
  }
}

void RxThread::runTimers() {
  extra_.runTimers(nowMs_);
  nextTimerMs_ = extra_.timerMs(nowMs_);
  if (heldFrames_ == 0) return;
  sessions_.forEach([this](RxSession& session) {
    while (!session.held.empty() && session.held.front().expiresMs <= nowMs_) {
      session.held.pop_front();
      heldFrames_--;
      counters_.drop(DropReason::waitingExpired);
    }
  });
  if (heldFrames_ > 0) nextTimerMs_ = std::min(nextTimerMs_, nowMs_ + expiryStepMs);
}

void RxThread::readExtra(SocketIndex index) {
  const ExtraSocket extra = extra_.table().extra(index);  // stays until its turn is over
  if (extra.udp != nullptr) {
    readSocket(index, *extra.udp);
  } else if (extra.stream != nullptr && extra.stream->open()) {
    readStream(index, extra.stream);
  }
}

void RxThread::readSocket(SocketIndex index, const UdpSocket& socket) {
  for (size_t reads = 0; reads < limits::receivesPerTurn; reads++) {
    int error = 0;
    const std::span<const Received> received = receiver_.receive(socket, error);
    if (error != 0) counters_.drop(DropReason::socketError);
    if (received.empty()) return;
    // What arrived may be an answer to something a command of this very moment made us send: its
    // keys are in the mailbox then, and count first.
    if (thread_.mailbox().pending()) readMail();
    for (const Received& each : received) split(index, each);
    tapWriter_.flush();
    if (!relays_.empty()) relays_.flush();
  }
}

void RxThread::readStream(SocketIndex index, const std::shared_ptr<Stream>& stream) {
  constexpr size_t bufferBytes =
      limits::streamReadBytes + limits::streamDatagramBytes + streamLengthBytes;
  if (streamBuffer_ == nullptr) streamBuffer_ = std::make_unique<uint8_t[]>(bufferBytes);
  for (size_t reads = 0; reads < limits::receivesPerTurn; reads++) {
    const Stream::Reading reading =
        stream->read({streamBuffer_.get(), bufferBytes}, streamDatagrams_);
    if (thread_.mailbox().pending()) readMail();  // as above
    for (const std::span<uint8_t> datagram : streamDatagrams_) {
      counters_.datagramsIn.add();
      counters_.bytesIn.add(datagram.size());
      onDatagram({index, stream->peer(), datagram.size(), nullptr, 0}, datagram);
    }
    tapWriter_.flush();
    if (!relays_.empty()) relays_.flush();
    if (reading == Stream::Reading::drained) return;
    if (reading != Stream::Reading::more) {
      if (reading == Stream::Reading::garbled) counters_.drop(DropReason::badField);
      return extra_.end(index, stream);
    }
  }
  extra_.readLater(index);
}

void RxThread::split(SocketIndex socket, const Received& received) {
  if (received.truncated) return counters_.drop(DropReason::tooLong);
  if (received.bytes.empty()) {
    counters_.datagramsIn.add();
    return counters_.drop(DropReason::truncated);
  }
  counters_.bytesIn.add(received.bytes.size());
  // No host answers to port 0: such a source is forged, and nothing could ever be sent back.
  if (received.from.port == 0) {
    counters_.datagramsIn.add();
    return counters_.drop(DropReason::badField);
  }
  for (size_t at = 0; at < received.bytes.size(); at += received.segmentBytes) {
    const size_t bytes = std::min(received.segmentBytes, received.bytes.size() - at);
    counters_.datagramsIn.add();
    onDatagram({socket, received.from, bytes, nullptr, 0}, received.bytes.subspan(at, bytes));
  }
}

void RxThread::onDatagram(const Arrival& arrival, std::span<uint8_t> datagram) {
  const uint8_t type = datagram[0];
  if (type == wire::data) return onData(arrival, datagram);
  if (type == wire::relay) return onRelay(arrival, datagram);
  onStranger(arrival, datagram);
}

void RxThread::onStranger(const Arrival& arrival, Bytes datagram) {
  const StrangerGate::Verdict verdict = strangers_.judge(nowMs_, datagram);
  if (verdict.reason != DropReason::none) return counters_.drop(verdict.reason);
  push(DatagramUpcall{arrival.socket, arrival.from, {datagram.begin(), datagram.end()},
                      verdict.unproven});
}

/// The shim is not authenticated: the label counts only from an address of the session that it was
/// given to.
void RxThread::onRelay(const Arrival& arrival, std::span<uint8_t> datagram) {
  wire::RelayHeader header;
  if (const DropReason reason = wire::parseRelayHeader(datagram, header);
      reason != DropReason::none) {
    return counters_.drop(reason);
  }
  const std::span<LabelEntry> candidates = labels_.find(header.label);
  if (candidates.empty()) return counters_.drop(DropReason::unknownLabel);
  for (const LabelEntry& entry : candidates) {
    RxSession* ingress = sessions_.find(entry.ingress);
    if (ingress == nullptr || !ingress->paths.findDirect(arrival.socket, arrival.from)) continue;
    if (!entry.endsHere) return forwardRelayed(entry, *ingress, datagram);
    Arrival behind = arrival;
    behind.via = ingress;
    behind.label = header.label;
    return onData(behind, datagram.subspan(wire::relayHeaderBytes));
  }
  counters_.drop(DropReason::labelSource);
}

void RxThread::forwardRelayed(const LabelEntry& entry, RxSession& ingress,
                              std::span<uint8_t> datagram) {
  const uint8_t ttl = datagram[1];
  if (ttl <= 1) return counters_.drop(DropReason::relayTtl);
  RxSession* out = sessions_.find(entry.out.session);
  const DirectTarget* target = out == nullptr ? nullptr : out->paths.activeDirect();
  if (target == nullptr) return counters_.drop(DropReason::noPath);
  if (const DropReason reason =
          relayLimits_.admit(nowMs_, ingress.relayed, out->relayed, datagram.size());
      reason != DropReason::none) {
    return counters_.drop(reason);
  }
  wire::emitRelayHeader({static_cast<uint8_t>(ttl - 1), entry.out.label}, datagram.data());
  relays_.add({target->socket, target->endpoint, std::nullopt}, datagram);
  counters_.relayedDatagrams.add();
  ingress.shared->relayedBytes.add(datagram.size());
}

void RxThread::onData(const Arrival& arrival, std::span<uint8_t> datagram) {
  wire::DataHeader header;
  if (const DropReason reason = wire::parseDataHeader(datagram, header);
      reason != DropReason::none) {
    return counters_.drop(reason);
  }
  const KeyOwner owner = sessions_.findKeys(header.receiver);
  if (owner.session == nullptr) return counters_.drop(DropReason::unknownReceiver);
  const OpeningKeys::Opened opened = owner.keys->open(nowMs_, header, datagram);
  if (opened.reason != DropReason::none) return counters_.drop(opened.reason);
  RxSession& session = *owner.session;
  if (arrival.socket >= limits::acceptedStreams) {
    extra_.prove(nowMs_, arrival.socket, arrival.via != nullptr ? arrival.via->id : session.id);
  }
  session.shared->heardMs.store(nowMs_, std::memory_order_relaxed);
  if (session.next.get() == owner.keys && sessions_.confirm(owner)) {
    push(KeysConfirmedUpcall{session.id, header.receiver});
  }
  const bool isOld = owner.keys == session.previous.get() || owner.keys == session.older.get();
  const bool newest = opened.newest && !isOld;
  noticeEndpoint(arrival, session, newest);
  const size_t innerBytes = datagram.size() - wire::dataHeaderBytes - wire::tagBytes;
  onOpened(arrival, session, datagram.subspan(wire::dataHeaderBytes, innerBytes));
}

/// Roaming: only the newest counter says where the peer is now, and only straight from there.
void RxThread::noticeEndpoint(const Arrival& arrival, RxSession& session, bool newest) {
  if (arrival.via != nullptr || !newest || nowMs_ < session.nextEndpointUpcallMs) return;
  if (session.paths.findDirect(arrival.socket, arrival.from)) return;
  session.nextEndpointUpcallMs = nowMs_ + limits::endpointUpcallIntervalMs;
  push(EndpointUpcall{session.id, arrival.socket, arrival.from});
}

std::optional<PathIndex> RxThread::pathOf(const Arrival& arrival, const RxSession& session) const {
  if (arrival.via != nullptr) return session.paths.findRelay(arrival.via->id, arrival.label);
  return session.paths.findDirect(arrival.socket, arrival.from);
}

void RxThread::push(Upcall&& upcall) {
  if (!upcalls_.push(std::move(upcall))) counters_.drop(DropReason::upcallFull);
}

}  // namespace weft
