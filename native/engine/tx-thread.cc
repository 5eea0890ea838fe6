#include "tx-thread.h"

#include <errno.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "checksum.h"
#include "clock.h"

namespace weft {
namespace {

constexpr uint16_t dhcpServerPort = 67;
/// Waiting frames may live this much past their time.
constexpr uint64_t expiryStepMs = 250;
/// Timers due within one step are served together.
constexpr uint64_t timerStepMs = 20;

bool isDhcpRequest(Bytes frame, const FrameView& view) {
  return view.layer3 == Layer3::ipv4 && view.layer4Offset != 0 &&
         isUdpTo(layer4Of(frame, view), view, dhcpServerPort);
}

}  // namespace

TxThread::TxThread(std::span<const UdpSocket> sockets, Tap* tap, UpcallRing& upcalls,
                   bool segmentation)
    : tap_(tap),
      upcalls_(upcalls),
      sockets_(sockets),
      batch_(sockets_, segmentation, true, upcalls, counters_),
      sender_(sessions_, batch_, tap, upcalls, counters_),
      readBuffer_(std::make_unique<uint8_t[]>(sizeof(VnetHeader) + limits::tapReadBytes)) {}

bool TxThread::start() {
  return thread_.start("weft-tx", [](void* self) { static_cast<TxThread*>(self)->run(); }, this);
}

void TxThread::run() {
  while (!thread_.stopping()) {
    nowMs_ = clockMs();
    if (thread_.mailbox().pending()) readMail();
    tapDrained_ = !readTap();
    if (nowMs_ >= nextTimerMs_) runTimers();
    sender_.flush();
    if (tapDrained_ && !thread_.mailbox().pending()) sleep();
  }
}

void TxThread::sleep() {
  pollfd waits[2] = {{thread_.mailbox().wake().fd(), POLLIN, 0}, {-1, POLLIN, 0}};
  uint64_t untilMs = std::min(nextTimerMs_, nowMs_ + limits::idleMs);
  if (tapRetryAtMs_ != 0) {
    untilMs = std::min(untilMs, tapRetryAtMs_);
  } else if (tap_ != nullptr) {
    waits[1].fd = tap_->fd();
  }
  const int timeout = static_cast<int>(untilMs > nowMs_ ? untilMs - nowMs_ : 0);
  if (poll(waits, 2, timeout) > 0 && (waits[0].revents & POLLIN) != 0) {
    thread_.mailbox().wake().clear();
  }
}

void TxThread::runTimers() {
  const size_t expired = waiting_.expire(nowMs_);
  counters_.drop(DropReason::waitingExpired, expired);
  const uint64_t keepalive = sessions_.forEachSilent(
      nowMs_, [this](TxSession& session) { sender_.sendKeepalive(nowMs_, session); });
  const uint64_t expiry = waiting_.empty() ? UINT64_MAX : nowMs_ + expiryStepMs;
  nextTimerMs_ = std::max(nowMs_ + timerStepMs, std::min(keepalive, expiry));
}

bool TxThread::readTap() {
  if (tap_ == nullptr || nowMs_ < tapRetryAtMs_) return false;
  tapRetryAtMs_ = 0;
  const size_t prefix = tap_->hasVnetHeader() ? sizeof(VnetHeader) : 0;
  for (size_t reads = 0; reads < limits::tapReadsPerTurn; reads++) {
    const ssize_t bytes = tap_->read({readBuffer_.get(), prefix + limits::tapReadBytes});
    if (bytes <= 0) {
      tapFailed(bytes);
      return false;
    }
    counters_.tapFramesIn.add();
    // A command given before the frame came counts before the frame.
    if (thread_.mailbox().pending()) readMail();
    const size_t size = static_cast<size_t>(bytes);
    if (size < prefix + etherHeaderBytes) {
      counters_.drop(DropReason::shortFrame);
      continue;
    }
    VnetHeader vnet;
    if (prefix != 0) std::memcpy(&vnet, readBuffer_.get(), prefix);
    classify(vnet, {readBuffer_.get() + prefix, size - prefix});
  }
  return true;
}

/// Nothing there, or an error. One that stays (interface deleted, other end gone) is retried
/// slowly, so that it cannot keep the thread spinning.
void TxThread::tapFailed(ssize_t result) {
  if (result == -EAGAIN || result == -EINTR) return;
  counters_.drop(DropReason::tapError);
  tapRetryAtMs_ = nowMs_ + limits::tapRetryMs;
}

void TxThread::classify(const VnetHeader& vnet, std::span<uint8_t> frame) {
  const Mac to = macAt(frame.data());
  std::optional<FrameView> view = FrameView{};
  if (parseFrame(frame, *view) != DropReason::none) view.reset();
  if (isGroup(to) || (view && isDhcpRequest(frame, *view))) return passUp(vnet, frame, view);
  const ForwardTarget target = forward_.find(nowMs_, to);
  switch (target.kind) {
    case ForwardKind::session: return sendTo(target.session, vnet, frame, view);
    case ForwardKind::local: return counters_.drop(DropReason::notForUs);
    case ForwardKind::drop: return counters_.drop(DropReason::noRoute);
    case ForwardKind::miss: return wait(to, vnet, frame);
  }
}

/// The core gets whole frames: checksums that the kernel left open are completed.
void TxThread::passUp(const VnetHeader& vnet, Bytes frame, const std::optional<FrameView>& view) {
  if (vnet.gsoType != VnetHeader::gsoNone || frame.size() > limits::frameBytes) {
    return counters_.drop(DropReason::tooBig);
  }
  if (upcalls_.isFull(frame.size())) return counters_.drop(DropReason::upcallFull);
  FrameUpcall upcall{{frame.begin(), frame.end()}};
  if ((vnet.flags & VnetHeader::needsChecksum) != 0) {
    const size_t end = view ? view->end : frame.size();
    if (!completeChecksum(upcall.bytes, vnet.checksumStart, vnet.checksumOffset, end)) {
      return counters_.drop(DropReason::tapError);
    }
  }
  push(std::move(upcall));
}

void TxThread::wait(const Mac& mac, const VnetHeader& vnet, Bytes frame) {
  if (vnet.gsoType == VnetHeader::gsoNone && frame.size() > limits::frameBytes) {
    return counters_.drop(DropReason::tooBig);
  }
  const auto added = waiting_.add(nowMs_, mac, {vnet, {frame.begin(), frame.end()}});
  counters_.drop(added.reason);
  nextTimerMs_ = std::min(nextTimerMs_, nowMs_ + expiryStepMs);
  if (!added.announce) return;
  const Bytes head = frame.first(std::min(frame.size(), limits::missHeadBytes));
  push(MissUpcall{mac, {head.begin(), head.end()}});
}

void TxThread::sendTo(SessionId id, const VnetHeader& vnet, std::span<uint8_t> frame,
                      const std::optional<FrameView>& view) {
  TxSession* session = sessions_.find(id);
  if (session == nullptr) return counters_.drop(DropReason::noPath);
  if (session->acl != nullptr && view) session->acl->sent(nowMs_, frame, *view);
  sender_.sendFrame(nowMs_, *session, vnet, frame, view);
}

void TxThread::push(Upcall&& upcall) {
  if (!upcalls_.push(std::move(upcall))) counters_.drop(DropReason::upcallFull);
}

}  // namespace weft
