// How commands change the TX thread's tables.
#include <utility>

#include "overloaded.h"
#include "tx-thread.h"

namespace weft {

bool TxThread::handles(const Command& command) {
  return !std::holds_alternative<FrameToTap>(command) &&
         !std::holds_alternative<Filter>(command) &&
         !std::holds_alternative<LabelRoute>(command) &&
         !std::holds_alternative<LabelRemove>(command) &&
         !std::holds_alternative<RelayLimit>(command) &&
         !std::holds_alternative<StreamListen>(command) &&
         !std::holds_alternative<ReportTraffic>(command);
}

void TxThread::readMail() {
  thread_.mailbox().take(mails_);
  for (Mail& mail : mails_) on(mail);
  mails_.clear();
}

/// Commands that both threads see are counted here when they are ignored, and only here.
void TxThread::on(Mail& mail) {
  const auto count = [this](DropReason reason) { counters_.drop(reason); };
  std::visit(
      Overloaded{
          [&](const SessionOpen& open) { count(sessions_.open(open.session, mail.shared)); },
          [&](const SessionClose& close) {
            count(sessions_.close(close.session));
            forward_.removeSession(close.session);
          },
          [&](const Keys& keys) { count(sessions_.addKeys(nowMs_, keys)); },
          [&](const Path& path) {
            count(sessions_.setPath(nowMs_, path));
            nextTimerMs_ = nowMs_;
          },
          [&](const PathRemove& path) { count(sessions_.removePath(path)); },
          [&](const PathActive& path) {
            count(sessions_.activate(nowMs_, path));
            nextTimerMs_ = nowMs_;
          },
          [&](const Control& control) { sender_.sendControl(nowMs_, control); },
          [&](const Datagram& datagram) { sender_.sendPlain(datagram); },
          [&](const Forward& forward) { onForward(forward); },
          [&](const ForwardRemove& forward) {
            forward_.remove(forward.mac);
            release(forward.mac, {ForwardKind::drop, 0});
          },
          [&](const Acl& acl) { onAcl(acl); },
          [&](const FrameToPeer& frame) { onFrameToPeer(frame); },
          [&](const Carrier& carrier) {
            if (tap_ == nullptr || tap_->setCarrier(carrier.on) != 0) count(DropReason::tapError);
          },
          [&](const SocketOpen& open) { sockets_.set(open.socket, mail.socket); },
          [&](const StreamOpen& open) { sockets_.set(open.socket, mail.socket); },
          [&](const SocketClose& close) { onSocketClose(close.socket, mail.socket); },
          [](const auto&) {},  // the RX thread's
      },
      mail.command);
}

void TxThread::onForward(const Forward& forward) {
  ForwardTarget target{ForwardKind::drop, 0};
  if (const auto* session = std::get_if<SessionId>(&forward.to)) {
    if (sessions_.find(*session) == nullptr) return counters_.drop(DropReason::badField);
    target = {ForwardKind::session, *session};
  } else if (std::holds_alternative<ForwardLocal>(forward.to)) {
    target.kind = ForwardKind::local;
  }
  if (isGroup(forward.mac)) return counters_.drop(DropReason::badField);
  if (!forward_.set(nowMs_, forward.mac, target, forward.ttlMs)) {
    return counters_.drop(DropReason::tableFull);
  }
  release(forward.mac, target);
}

void TxThread::onAcl(const Acl& command) {
  TxSession* session = sessions_.find(command.session);
  if (session == nullptr) return counters_.drop(DropReason::badField);
  if (command.onlyWhereNone && session->acl != nullptr) return;
  if (command.table == nullptr) return session->acl.reset();
  if (session->acl != nullptr) return session->acl->setTable(command.table);
  // Rules after a time without any are stricter ones.
  const uint64_t takeUpEndsMs = session->hadRules ? 0 : nowMs_ + limits::aclTakeUpMs;
  session->acl = std::make_unique<AclWatch>(command.table, command.flows, takeUpEndsMs);
  session->hadRules = true;
}

/// By command, or because the RX thread saw the end of it (`ended`): only that very one then.
void TxThread::onSocketClose(SocketIndex index, const ExtraSocket& ended) {
  if (ended) {
    if (sockets_.extra(index) == ended) sockets_.take(index);
    return;
  }
  sender_.flush();
  const ExtraSocket socket = sockets_.take(index);
  if (!socket) return counters_.drop(DropReason::noSocket);
  counters_.drop(rx_->post(Mail(SocketClose{index}, nullptr, socket)));
}

/// Frames that waited go where the entry says, before any frame that is still in the TAP.
void TxThread::release(const Mac& mac, const ForwardTarget& target) {
  size_t expired = 0;
  std::vector<TapFrame> frames = waiting_.take(nowMs_, mac, expired);
  counters_.drop(DropReason::waitingExpired, expired);
  if (target.kind != ForwardKind::session) {
    return counters_.drop(DropReason::noRoute, frames.size());
  }
  for (TapFrame& frame : frames) {
    std::optional<FrameView> view = FrameView{};
    if (parseFrame(frame.bytes, *view) != DropReason::none) view.reset();
    sendTo(target.session, frame.vnet, frame.bytes, view);
  }
}

void TxThread::onFrameToPeer(const FrameToPeer& frame) {
  if (frame.bytes.size() < etherHeaderBytes) return counters_.drop(DropReason::shortFrame);
  std::optional<FrameView> view = FrameView{};
  if (parseFrame(frame.bytes, *view) != DropReason::none) view.reset();
  std::vector<uint8_t> bytes(frame.bytes.begin(), frame.bytes.end());
  sendTo(frame.session, {}, bytes, view);
}

}  // namespace weft
