// What datagrams of no session must show before the core sees them.
#pragma once

#include <cstdint>

#include "blake2b.h"
#include "bytes.h"
#include "drop-reason.h"
#include "engine-limits.h"
#include "event-rate.h"

namespace weft {

/// Which datagrams of no session come up, besides STUN.
struct Admission {
  Mac1Key mac1Key;
  bool bencode;
};

/// Nothing of these is authenticated yet but by mac1: one hash, then the ring or silence.
class StrangerGate {
 public:
  struct Verdict {
    DropReason reason = DropReason::none;
    bool unproven = false;
  };

  explicit StrangerGate(const Admission& admission) : admission_(admission) {}

  /// @param datagram at least one byte, neither data nor relay
  Verdict judge(uint64_t nowMs, Bytes datagram);

 private:
  DropReason check(Bytes datagram) const;

  Admission admission_;
  EventRate unproven_{limits::unprovenPerSecond};
  EventRate claimed_{limits::claimedPerSecond};
};

}  // namespace weft
