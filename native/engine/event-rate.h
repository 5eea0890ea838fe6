// A bound on how often something happens.
#pragma once

#include <cstdint>

namespace weft {

/// So many a second, with one second of burst.
class EventRate {
 public:
  explicit EventRate(uint64_t perSecond = 1) : slotUs_(1'000'000 / perSecond) {}
  /// False when there were too many of late.
  bool take(uint64_t nowMs) {
    const uint64_t nowUs = 1'000 * nowMs;
    const uint64_t free = nowMs > 1'000 ? nowUs - 1'000'000 : 0;
    if (usedUntilUs_ < free) usedUntilUs_ = free;
    if (usedUntilUs_ > nowUs) return false;
    usedUntilUs_ += slotUs_;
    return true;
  }

 private:
  uint64_t slotUs_;
  uint64_t usedUntilUs_ = 0;  // on a time line of one slot each event
};

}  // namespace weft
