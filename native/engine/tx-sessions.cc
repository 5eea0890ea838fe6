#include "tx-sessions.h"

#include <utility>

namespace weft {

DropReason TxSessions::open(SessionId id, std::shared_ptr<SessionShared> shared) {
  if (id == 0 || sessions_.contains(id)) return DropReason::badField;
  if (sessions_.size() >= limits::sessions) return DropReason::tableFull;
  auto session = std::make_unique<TxSession>();
  session->id = id;
  session->shared = std::move(shared);
  sessions_.emplace(id, std::move(session));
  return DropReason::none;
}

DropReason TxSessions::close(SessionId id) {
  return sessions_.erase(id) == 1 ? DropReason::none : DropReason::badField;
}

DropReason TxSessions::addKeys(uint64_t nowMs, const Keys& keys) {
  TxSession* session = find(keys.session);
  if (session == nullptr) return DropReason::badField;
  auto sealing = SealingKeys::make(nowMs, keys, session->keyOrder + 1);
  if (!sealing) return DropReason::badField;
  session->keyOrder++;
  keysOf(*session);  // a promotion that is due comes before the new keys
  (keys.use == KeyUse::now ? session->current : session->next) = std::move(sealing);
  return DropReason::none;
}

DropReason TxSessions::setPath(uint64_t nowMs, const Path& path) {
  TxSession* session = find(path.session);
  if (session == nullptr || !session->paths.set(path)) return DropReason::badField;
  if (session->lastSentMs == 0) session->lastSentMs = nowMs;
  return DropReason::none;
}

DropReason TxSessions::removePath(const PathRemove& path) {
  TxSession* session = find(path.session);
  const bool removed = session != nullptr && session->paths.remove(path.path);
  return removed ? DropReason::none : DropReason::badField;
}

DropReason TxSessions::activate(uint64_t nowMs, const PathActive& path) {
  TxSession* session = find(path.session);
  if (session == nullptr || !session->paths.activate(path.path)) return DropReason::badField;
  session->lastSentMs = nowMs;
  return DropReason::none;
}

TxSession* TxSessions::find(SessionId id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

/// Keys that were added before the current ones never replace them: a late first packet of an
/// older handshake must not bring back keys that expire earlier.
SealingKeys* TxSessions::keysOf(TxSession& session) {
  if (session.next) {
    const uint32_t confirmed = session.shared->confirmedReceive.load(std::memory_order_acquire);
    if (confirmed == session.next->receive()) {
      const bool newer = !session.current || session.next->order() > session.current->order();
      if (newer) session.current = std::move(session.next);
      session.next.reset();
    }
  }
  return session.current ? &*session.current : nullptr;
}

std::optional<Route> TxSessions::routeOf(TxSession& session, std::optional<PathIndex> index) {
  const PathState* path = index ? session.paths.at(*index) : session.paths.active();
  if (path == nullptr) return std::nullopt;
  Route route;
  route.maxDatagram = path->maxDatagram;
  route.frameRoom = path->frameRoom();
  route.mssRoom = path->mssRoom();
  route.settled = path->settled;
  const DirectTarget* direct = std::get_if<DirectTarget>(&path->to);
  if (const auto* relay = std::get_if<RelayTarget>(&path->to)) {
    TxSession* via = find(relay->via);
    direct = via == nullptr ? nullptr : via->paths.activeDirect();
    route.label = relay->label;
  }
  if (direct == nullptr) return std::nullopt;
  route.destination = {direct->socket, direct->endpoint, std::nullopt};
  return route;
}

}  // namespace weft
