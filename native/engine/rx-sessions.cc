#include "rx-sessions.h"

#include <utility>

namespace weft {

DropReason RxSessions::open(SessionId id, std::shared_ptr<SessionShared> shared) {
  if (id == 0 || sessions_.contains(id)) return DropReason::badField;
  if (sessions_.size() >= limits::sessions) return DropReason::tableFull;
  auto session = std::make_unique<RxSession>();
  session->id = id;
  session->shared = std::move(shared);
  sessions_.emplace(id, std::move(session));
  return DropReason::none;
}

DropReason RxSessions::close(SessionId id) {
  RxSession* session = find(id);
  if (session == nullptr) return DropReason::badField;
  for (auto* slot : {&session->current, &session->previous, &session->older, &session->next}) {
    put(*slot, nullptr);
  }
  sessions_.erase(id);
  return DropReason::none;
}

DropReason RxSessions::addKeys(uint64_t nowMs, const Keys& keys) {
  RxSession* session = find(keys.session);
  if (session == nullptr) return DropReason::badField;
  auto opening = OpeningKeys::make(nowMs, keys, session->keyOrder + 1);
  if (!opening) return DropReason::badField;
  session->keyOrder++;
  auto owned = std::make_unique<OpeningKeys>(std::move(*opening));
  OpeningKeys* added = owned.get();
  if (keys.use == KeyUse::now) {
    put(session->older, std::move(session->previous));
    session->previous = std::move(session->current);
    put(session->current, std::move(owned));
  } else {
    put(session->next, std::move(owned));
  }
  receivers_[added->receive()] = {session, added};
  return DropReason::none;
}

DropReason RxSessions::setPath(const Path& path) {
  RxSession* session = find(path.session);
  const bool set = session != nullptr && session->paths.set(path);
  return set ? DropReason::none : DropReason::badField;
}

DropReason RxSessions::removePath(const PathRemove& path) {
  RxSession* session = find(path.session);
  const bool removed = session != nullptr && session->paths.remove(path.path);
  return removed ? DropReason::none : DropReason::badField;
}

DropReason RxSessions::activate(const PathActive& path) {
  RxSession* session = find(path.session);
  const bool active = session != nullptr && session->paths.activate(path.path);
  return active ? DropReason::none : DropReason::badField;
}

RxSession* RxSessions::find(SessionId id) {
  const auto found = sessions_.find(id);
  return found == sessions_.end() ? nullptr : found->second.get();
}

KeyOwner RxSessions::findKeys(ReceiverIndex receive) const {
  const auto found = receivers_.find(receive);
  return found == receivers_.end() ? KeyOwner{} : found->second;
}

bool RxSessions::confirm(const KeyOwner& owner) {
  RxSession& session = *owner.session;
  if (session.next.get() != owner.keys) return false;
  std::unique_ptr<OpeningKeys> confirmed = std::move(session.next);
  const ReceiverIndex receive = confirmed->receive();
  const bool newer = !session.current || confirmed->order() > session.current->order();
  put(session.older, std::move(session.previous));
  if (newer) {
    session.previous = std::move(session.current);
    session.current = std::move(confirmed);
  } else {
    session.previous = std::move(confirmed);
  }
  session.shared->confirmedReceive.store(receive, std::memory_order_release);
  return true;
}

/// Replaces what is in the slot and forgets its receiver index, if that still leads to it.
void RxSessions::put(std::unique_ptr<OpeningKeys>& slot, std::unique_ptr<OpeningKeys>&& keys) {
  if (slot != nullptr) {
    const auto found = receivers_.find(slot->receive());
    if (found != receivers_.end() && found->second.keys == slot.get()) receivers_.erase(found);
  }
  slot = std::move(keys);
}

}  // namespace weft
