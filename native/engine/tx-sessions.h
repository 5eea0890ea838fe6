// The TX thread's view of the sessions: sealing keys, paths, when something was last sent.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "acl-gate.h"
#include "counters.h"
#include "keyed-hash.h"
#include "path-table.h"
#include "send-batch.h"
#include "session-keys.h"

namespace weft {

struct TxSession {
  SessionId id = 0;
  std::shared_ptr<SessionShared> shared;
  PathTable paths;
  std::unique_ptr<AclWatch> acl;  // nothing = no rules
  bool hadRules = false;
  std::optional<SealingKeys> current;
  std::optional<SealingKeys> next;  // waits until the peer has used it
  uint64_t keyOrder = 0;
  uint64_t lastSentMs = 0;  // on the active path
  uint32_t nextFragmentId = 0;
  uint64_t tooBigSecond = 0;  // the second that tooBigAnswers counts in
  uint32_t tooBigAnswers = 0;
};

/// Where a path ends up on the wire.
struct Route {
  Destination destination;
  Label label = 0;  // not zero: a relay shim stands in front
  uint16_t maxDatagram = 0;
  size_t frameRoom = 0;  // the largest frame that leaves whole
  size_t mssRoom = 0;    // the largest that passes at all
  bool settled = false;  // maxDatagram is not about to grow

  size_t shimBytes() const { return label == 0 ? 0 : wire::relayHeaderBytes; }
};

class TxSessions {
 public:
  /// Each returns `none`, `badField` (unknown or malformed) or `tableFull`.
  DropReason open(SessionId id, std::shared_ptr<SessionShared> shared);
  DropReason close(SessionId id);
  DropReason addKeys(uint64_t nowMs, const Keys& keys);
  DropReason setPath(uint64_t nowMs, const Path& path);
  DropReason removePath(const PathRemove& path);
  DropReason activate(uint64_t nowMs, const PathActive& path);

  TxSession* find(SessionId id);
  /// Keys to seal with now, after a promotion that RX saw; nullptr = none.
  static SealingKeys* keysOf(TxSession& session);
  /// Resolves a path of the session; without `path` the active one. Nothing when it leads nowhere.
  std::optional<Route> routeOf(TxSession& session, std::optional<PathIndex> path);

  /// Calls `due(session)` for every session whose active path was silent too long; returns when to
  /// ask again.
  template <typename Due>
  uint64_t forEachSilent(uint64_t nowMs, Due due) {
    uint64_t next = UINT64_MAX;
    for (auto& [id, session] : sessions_) {
      const PathState* path = session->paths.active();
      if (path == nullptr || path->keepaliveMs == 0 || keysOf(*session) == nullptr) continue;
      if (session->lastSentMs + path->keepaliveMs <= nowMs) {
        due(*session);
        session->lastSentMs = nowMs;  // also when it could not be sent: try again an interval later
      }
      next = std::min(next, session->lastSentMs + path->keepaliveMs);
    }
    return next;
  }

 private:
  std::unordered_map<SessionId, std::unique_ptr<TxSession>, KeyedHash> sessions_;
};

}  // namespace weft
