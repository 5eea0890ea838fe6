// Which counters of one (keys, lane) were seen: a sliding bitmap of limits::replayWindow counters.
#pragma once

#include <array>
#include <cstdint>

#include "engine-limits.h"

namespace weft {

/// Ask `accepts` before opening, call `mark` only after the tag was verified: a forged datagram
/// with a high counter must not move the window.
class ReplayWindow {
 public:
  /// False for a counter seen before or too old to tell.
  bool accepts(uint64_t counter) const {
    if (counter >= next_) return true;
    if (next_ - counter > limits::replayWindow) return false;
    return (words_[wordOf(counter)] & bitOf(counter)) == 0;
  }

  /// Remembers a counter that `accepts` let through. True when it is the newest so far.
  bool mark(uint64_t counter) {
    const bool newest = counter >= next_;
    if (newest) slideTo(counter);
    words_[wordOf(counter)] |= bitOf(counter);
    return newest;
  }

 private:
  // More than the window (a power of two): clearing the newest word forgets nothing still in it.
  static constexpr uint64_t wordBits = 64;
  static constexpr uint64_t words = limits::replayWindow / wordBits * 2;
  static_assert((words & (words - 1)) == 0, "wordOf masks");

  static uint64_t wordOf(uint64_t counter) { return counter / wordBits & (words - 1); }
  static uint64_t bitOf(uint64_t counter) { return 1ULL << (counter % wordBits); }

  /// Clears the words between the old newest counter and the new one.
  void slideTo(uint64_t counter) {
    const uint64_t from = next_ == 0 ? 0 : (next_ - 1) / wordBits + 1;
    const uint64_t to = counter / wordBits;
    if (to >= from && to - from >= words) {
      words_.fill(0);
    } else {
      for (uint64_t word = from; word <= to; word++) words_[word & (words - 1)] = 0;
    }
    next_ = counter + 1;
  }

  uint64_t next_ = 0;  // newest counter + 1; sealing stops at 2^60, so it cannot wrap
  std::array<uint64_t, words> words_{};
};

}  // namespace weft
