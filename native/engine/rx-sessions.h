// The RX thread's view of the sessions: opening keys, paths to recognise senders by, filters, held
// frames and halves of fragmented ones.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "acl-gate.h"
#include "counters.h"
#include "fragments.h"
#include "keyed-hash.h"
#include "path-table.h"
#include "relay-limits.h"
#include "session-keys.h"
#include "source-filter.h"

namespace weft {

/// An opened frame that waits for a filter of its session.
struct HeldFrame {
  uint64_t expiresMs = 0;
  wire::Descriptor descriptor;
  std::vector<uint8_t> bytes;
};

struct RxSession {
  SessionId id = 0;
  std::shared_ptr<SessionShared> shared;
  PathTable paths;
  std::unique_ptr<OpeningKeys> current;
  std::unique_ptr<OpeningKeys> previous;
  /// Of two handshakes that crossed each end may seal with another pair: a rekey right behind them
  /// must not take away the one that the peer still uses.
  std::unique_ptr<OpeningKeys> older;
  std::unique_ptr<OpeningKeys> next;  // nothing has opened under it yet
  uint64_t keyOrder = 0;
  std::optional<SourceFilter> filter;
  std::unique_ptr<AclGate> acl;  // nothing = no rules
  std::deque<HeldFrame> held;
  FragmentTable fragments;
  RelayBuckets relayed;
  uint64_t nextHeldUpcallMs = 0;
  uint64_t nextEndpointUpcallMs = 0;
};

/// What a receiver index leads to.
struct KeyOwner {
  RxSession* session = nullptr;
  OpeningKeys* keys = nullptr;
};

class RxSessions {
 public:
  /// Each returns `none`, `badField` (unknown or malformed) or `tableFull`.
  DropReason open(SessionId id, std::shared_ptr<SessionShared> shared);
  DropReason close(SessionId id);
  DropReason addKeys(uint64_t nowMs, const Keys& keys);
  DropReason setPath(const Path& path);
  DropReason removePath(const PathRemove& path);
  DropReason activate(const PathActive& path);

  RxSession* find(SessionId id);
  /// Empty when the index is not ours.
  KeyOwner findKeys(ReceiverIndex receive) const;
  /// After a packet opened: true when these keys waited for that (they are current from now on,
  /// unless newer ones are).
  bool confirm(const KeyOwner& owner);

  template <typename Visit>
  void forEach(Visit visit) {
    for (auto& [id, session] : sessions_) visit(*session);
  }
  size_t size() const { return sessions_.size(); }

 private:
  void put(std::unique_ptr<OpeningKeys>& slot, std::unique_ptr<OpeningKeys>&& keys);

  std::unordered_map<SessionId, std::unique_ptr<RxSession>, KeyedHash> sessions_;
  std::unordered_map<ReceiverIndex, KeyOwner, KeyedHash> receivers_;
};

}  // namespace weft
