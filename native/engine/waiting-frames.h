// Frames from the TAP that wait for a forwarding decision, in order, per destination MAC.
#pragma once

#include <cstddef>
#include <deque>
#include <unordered_map>
#include <vector>

#include "address.h"
#include "drop-reason.h"
#include "keyed-hash.h"
#include "tap-frame.h"

namespace weft {

class WaitingFrames {
 public:
  struct Added {
    DropReason reason = DropReason::none;  // waitingFull = the frame was not kept
    bool announce = false;                 // an upcall `miss` is due for this MAC
  };

  Added add(uint64_t nowMs, const Mac& mac, TapFrame&& frame);
  /// Takes out what waits for `mac`, oldest first; frames past their time are not given out but
  /// counted into `expired`.
  std::vector<TapFrame> take(uint64_t nowMs, const Mac& mac, size_t& expired);
  /// Drops what waited too long; how many frames.
  size_t expire(uint64_t nowMs);

  bool empty() const { return queues_.empty(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Waiting {
    uint64_t expiresMs;
    TapFrame frame;
  };
  struct Queue {
    std::deque<Waiting> frames;
    size_t bytes = 0;
    uint64_t nextMissMs = 0;
  };
  using Queues = std::unordered_map<uint64_t, Queue, KeyedHash>;

  size_t expireQueue(uint64_t nowMs, Queue& queue);
  bool fits(const Queue& queue, size_t frameBytes) const;

  Queues queues_;
  size_t bytes_ = 0;
};

}  // namespace weft
