// What the RX thread does with a message after it opened.
#include <algorithm>
#include <utility>

#include "checksum.h"
#include "mss-clamp.h"
#include "rx-thread.h"

namespace weft {
namespace {

constexpr size_t lengthBytes = 2;
constexpr uint64_t expiryStepMs = 250;

/// A partial checksum must be where our own look at the headers puts it: the kernel would write
/// anywhere we point it to.
bool isTrueOf(const wire::Descriptor& descriptor, const FrameView& view, size_t frameBytes) {
  if (!descriptor.partial) return true;
  const bool tcp = descriptor.layer4 == wire::Layer4::tcp && view.protocol == protocolTcp;
  const bool udp = descriptor.layer4 == wire::Layer4::udp && view.protocol == protocolUdp;
  const size_t headerBytes = tcp ? tcpHeaderBytes : udpHeaderBytes;
  return (tcp || udp) && view.layer4Offset != 0 && !view.fragment && view.end == frameBytes &&
         view.layer4Offset == descriptor.checksumStart &&
         view.end - view.layer4Offset >= headerBytes;
}

}  // namespace

void RxThread::onOpened(const Arrival& arrival, RxSession& session, std::span<uint8_t> inner) {
  wire::Descriptor descriptor;
  if (const DropReason reason = wire::parseDescriptor(inner.data(), descriptor);
      reason != DropReason::none) {
    return counters_.drop(reason);
  }
  if (inner.size() < wire::descriptorBytes + descriptor.pad) {
    return counters_.drop(DropReason::badField);
  }
  const auto body = inner.subspan(wire::descriptorBytes,
                                  inner.size() - wire::descriptorBytes - descriptor.pad);
  switch (descriptor.kind) {
    case wire::Kind::frame: return onFrame(session, descriptor, body);
    case wire::Kind::control: return onControl(arrival, session, descriptor, body);
    case wire::Kind::aggregate: return onAggregate(session, body);
    case wire::Kind::fragment: return onFragment(session, descriptor, body);
  }
}

void RxThread::onControl(const Arrival& arrival, RxSession& session,
                         const wire::Descriptor& descriptor, Bytes body) {
  Bytes message = body;
  if (descriptor.member) {
    if (body.size() < lengthBytes) return counters_.drop(DropReason::badField);
    const size_t length = loadLe<uint16_t>(body.data());
    if (length > body.size() - lengthBytes) return counters_.drop(DropReason::badField);
    message = body.subspan(lengthBytes, length);
  }
  session.shared->controlBytesIn.add(message.size());
  // Bare, an empty message is a keepalive; padded to a length it is a probe, and news.
  if (message.empty() && !descriptor.member) return;
  ControlUpcall upcall;
  upcall.session = session.id;
  upcall.path = pathOf(arrival, session);
  upcall.socket = arrival.socket;
  if (arrival.via == nullptr) upcall.from = arrival.from;
  upcall.datagramBytes = static_cast<uint32_t>(arrival.datagramBytes);
  upcall.bytes.assign(message.begin(), message.end());
  push(std::move(upcall));
}

void RxThread::onAggregate(RxSession& session, std::span<uint8_t> body) {
  while (!body.empty()) {
    if (body.size() < lengthBytes) return counters_.drop(DropReason::badField);
    const size_t length = loadLe<uint16_t>(body.data());
    body = body.subspan(lengthBytes);
    if (length < wire::descriptorBytes || length > body.size()) {
      return counters_.drop(DropReason::badField);
    }
    wire::Descriptor descriptor;
    if (wire::parseDescriptor(body.data(), descriptor) != DropReason::none ||
        descriptor.kind != wire::Kind::frame || descriptor.pad != 0) {
      return counters_.drop(DropReason::badField);
    }
    const size_t frameBytes = length - wire::descriptorBytes;
    onFrame(session, descriptor, body.subspan(wire::descriptorBytes, frameBytes));
    body = body.subspan(length);
  }
}

void RxThread::onFragment(RxSession& session, const wire::Descriptor& descriptor, Bytes body) {
  std::optional<JoinedFrame> joined;
  counters_.drop(session.fragments.add(nowMs_, descriptor, body, joined));
  if (!joined) return;
  onFrame(session, joined->descriptor, joined->bytes);
  tapWriter_.flush();  // the bytes go with `joined`
}

void RxThread::onFrame(RxSession& session, const wire::Descriptor& descriptor,
                       std::span<uint8_t> frame) {
  if (tapWriter_.tryAppend(session.id, descriptor, frame)) {
    session.shared->framesIn.add();
    session.shared->bytesIn.add(frame.size());
    return;
  }
  if (frame.size() > limits::frameBytes) return counters_.drop(DropReason::tooBig);
  FrameView view;
  if (const DropReason reason = parseFrame(frame, view); reason != DropReason::none) {
    return counters_.drop(reason);
  }
  if (!isTrueOf(descriptor, view, frame.size())) return counters_.drop(DropReason::badField);
  if (!session.filter) return hold(session, descriptor, frame, view);
  counters_.drop(deliver(session, descriptor, frame, view));
}

DropReason RxThread::deliver(RxSession& session, const wire::Descriptor& descriptor,
                             std::span<uint8_t> frame, const FrameView& view) {
  if (const DropReason reason = session.filter->check(frame, view); reason != DropReason::none) {
    if (isAboutSource(reason)) announceHeld(session, frame, view);
    return reason;
  }
  const Mac to = macAt(frame.data());
  // Floods come as control messages; and what is not ours is never flooded into the TAP.
  if (isGroup(to) || local_.find(nowMs_, to).kind != ForwardKind::local) {
    return DropReason::noRoute;
  }
  if (session.acl != nullptr) {
    const DropReason reason = session.acl->judge(nowMs_, frame, view);
    if (reason != DropReason::none) return reason;
  }
  // The peer's size is a limit for what our side sends it, too.
  const PathState* path = session.paths.active();
  if (path != nullptr) clampMss(frame, view, {path->mssRoom(), descriptor.partial});
  session.shared->framesIn.add();
  session.shared->bytesIn.add(frame.size());
  tapWriter_.add(session.id, descriptor, frame, view);
  return DropReason::none;
}

void RxThread::hold(RxSession& session, const wire::Descriptor& descriptor, Bytes frame,
                    const FrameView& view) {
  if (session.held.size() >= limits::heldFramesPerSession) {
    counters_.drop(DropReason::fenceFull);
  } else {
    session.held.push_back(
        {nowMs_ + limits::heldMs, descriptor, {frame.begin(), frame.end()}});
    heldFrames_++;
    nextTimerMs_ = std::min(nextTimerMs_, nowMs_ + expiryStepMs);
  }
  announceHeld(session, frame, view);
}

void RxThread::announceHeld(RxSession& session, Bytes frame, const FrameView& view) {
  if (nowMs_ < session.nextHeldUpcallMs) return;
  session.nextHeldUpcallMs = nowMs_ + limits::heldUpcallIntervalMs;
  const FrameSource source = sourceOf(frame, view);
  push(HeldUpcall{session.id, source.mac, source.ip});
}

void RxThread::releaseHeld(RxSession& session) {
  while (!session.held.empty()) {
    HeldFrame held = std::move(session.held.front());
    session.held.pop_front();
    heldFrames_--;
    FrameView view;
    if (held.expiresMs <= nowMs_) {
      counters_.drop(DropReason::waitingExpired);
    } else if (parseFrame(held.bytes, view) == DropReason::none) {
      counters_.drop(deliver(session, held.descriptor, held.bytes, view));
      tapWriter_.flush();
    }
  }
}

}  // namespace weft
