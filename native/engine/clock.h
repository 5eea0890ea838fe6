// The engine's clock: milliseconds that never go back and that count suspended time, so that keys
// and waiting frames age while a laptop sleeps.
#pragma once

#include <time.h>

#include <cstdint>

namespace weft {

inline uint64_t clockMs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace weft
