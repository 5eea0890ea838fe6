// Counters of one data thread and of one session. Each has one writer; anybody may read.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "drop-reason.h"

namespace weft {

/// A number with one writing thread: an addition needs no locked instruction.
class Counter {
 public:
  void add(uint64_t n = 1) { value_.store(get() + n, std::memory_order_relaxed); }
  uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct ThreadCounters {
  std::array<Counter, dropReasons> dropped;
  Counter datagramsIn, datagramsOut, bytesIn, bytesOut;
  Counter tapFramesIn, tapFramesOut, relayedDatagrams;

  /// Counts a drop; `none` is not one.
  void drop(DropReason reason, uint64_t n = 1) {
    if (reason != DropReason::none) dropped[static_cast<size_t>(reason)].add(n);
  }
};

/// What both threads know of a session. The writing thread is named at each.
struct SessionShared {
  Counter framesIn, bytesIn, controlBytesIn, relayedBytes;  // RX
  Counter framesOut, bytesOut, controlBytesOut;             // TX
  /// RX: engine clock when something authenticated arrived; 0 = never.
  std::atomic<uint64_t> heardMs{0};
  /// RX: receiver index of the newest keys that opened a packet while they waited for it. TX seals
  /// with them from then on.
  std::atomic<uint32_t> confirmedReceive{0};
};

}  // namespace weft
