// How commands change the RX thread's tables. Commands that both threads see are counted by the
// TX thread when they are ignored.
#include <algorithm>
#include <utility>

#include "overloaded.h"
#include "rx-thread.h"

namespace weft {

bool RxThread::handles(const Command& command) {
  return !std::holds_alternative<Control>(command) && !std::holds_alternative<Datagram>(command) &&
         !std::holds_alternative<FrameToPeer>(command) &&
         !std::holds_alternative<Carrier>(command) &&
         !std::holds_alternative<SocketClose>(command);
}

void RxThread::readMail() {
  thread_.mailbox().take(mails_);
  for (Mail& mail : mails_) on(mail);
  mails_.clear();
}

void RxThread::on(Mail& mail) {
  std::visit(
      Overloaded{
          [&](const SessionOpen& open) { sessions_.open(open.session, mail.shared); },
          [&](const SessionClose& close) { onSessionClose(close.session); },
          [&](const Keys& keys) { sessions_.addKeys(nowMs_, keys); },
          [&](const Path& path) { sessions_.setPath(path); },
          [&](const PathRemove& path) { sessions_.removePath(path); },
          [&](const PathActive& path) { sessions_.activate(path); },
          [&](const Forward& forward) { onForward(forward); },
          [&](const ForwardRemove& forward) { local_.remove(forward.mac); },
          [&](const FrameToTap& frame) {
            if (frame.bytes.size() < etherHeaderBytes) {
              counters_.drop(DropReason::shortFrame);
            } else if (frame.bytes.size() > limits::frameBytes) {
              counters_.drop(DropReason::tooBig);
            } else {
              tapWriter_.addPlain(frame.bytes);
            }
          },
          [&](const Filter& filter) { onFilter(filter); },
          [&](const Acl& acl) { onAcl(acl); },
          [&](const LabelRoute& route) { onLabel(route); },
          [&](const LabelRemove& label) {
            if (!labels_.remove(label.ingress, label.label)) {
              counters_.drop(DropReason::unknownLabel);
            }
          },
          [&](const RelayLimit& limit) { relayLimits_.set(limit); },
          [&](const ReportTraffic&) { reportTraffic(); },
          [&](const SocketOpen& open) { extra_.add(nowMs_, open.socket, mail.socket); },
          [&](const StreamOpen& open) {
            extra_.add(nowMs_, open.socket, mail.socket);
            nextTimerMs_ = std::min(nextTimerMs_, extra_.timerMs(nowMs_));
          },
          [&](const SocketClose& close) { extra_.close(close.socket, mail.socket); },
          [&](const StreamListen& listen) {
            extra_.listen(std::move(mail.listeners), listen.port);
          },
          [](const auto&) {},  // the TX thread's
      },
      mail.command);
}

void RxThread::onSessionClose(SessionId id) {
  RxSession* session = sessions_.find(id);
  if (session == nullptr) return;
  heldFrames_ -= session->held.size();
  counters_.drop(DropReason::noRoute, session->held.size());
  sessions_.close(id);
  labels_.removeSession(id);
}

void RxThread::onForward(const Forward& forward) {
  if (!std::holds_alternative<ForwardLocal>(forward.to)) return local_.remove(forward.mac);
  if (!isGroup(forward.mac)) {
    local_.set(nowMs_, forward.mac, {ForwardKind::local, 0}, forward.ttlMs);
  }
}

void RxThread::onFilter(const Filter& command) {
  RxSession* session = sessions_.find(command.session);
  if (session == nullptr) return counters_.drop(DropReason::badField);
  // Nothing confirmed is not the same as nothing allowed: frames wait for what comes next.
  if (command.entries.empty()) return session->filter.reset();
  auto filter = SourceFilter::make(command.entries);
  if (!filter) return counters_.drop(DropReason::tableFull);
  session->filter = std::move(filter);
  releaseHeld(*session);
}

/// The TX thread counts the command of an unknown session.
void RxThread::onAcl(const Acl& command) {
  RxSession* session = sessions_.find(command.session);
  if (session == nullptr || (command.onlyWhereNone && session->acl != nullptr)) return;
  if (command.table == nullptr) {
    session->acl.reset();
  } else if (session->acl != nullptr) {
    session->acl->setTable(command.table);
  } else {
    session->acl = std::make_unique<AclGate>(command.table, command.flows);
  }
}

void RxThread::onLabel(const LabelRoute& route) {
  if (sessions_.find(route.ingress) == nullptr) return counters_.drop(DropReason::badField);
  counters_.drop(labels_.set(route));
}

void RxThread::reportTraffic() {
  TrafficUpcall traffic;
  traffic.sessions.reserve(sessions_.size());
  sessions_.forEach([&](const RxSession& session) {
    const SessionShared& shared = *session.shared;
    SessionTraffic each;
    each.session = session.id;
    each.framesIn = shared.framesIn.get();
    each.framesOut = shared.framesOut.get();
    each.bytesIn = shared.bytesIn.get();
    each.bytesOut = shared.bytesOut.get();
    each.controlBytesIn = shared.controlBytesIn.get();
    each.controlBytesOut = shared.controlBytesOut.get();
    each.relayedBytes = shared.relayedBytes.get();
    const uint64_t heardMs = shared.heardMs.load(std::memory_order_relaxed);
    if (heardMs != 0) each.silentMs = nowMs_ - heardMs;
    traffic.sessions.push_back(each);
  });
  push(std::move(traffic));
}

}  // namespace weft
