// Hash of integer table keys, different in every process, so that nobody can choose MACs or labels
// that fall into one bucket.
#pragma once

#include <sys/random.h>

#include <cstddef>
#include <cstdint>

namespace weft {

struct KeyedHash {
  size_t operator()(uint64_t value) const {
    uint64_t x = value ^ seed();
    x = (x ^ x >> 32) * 0x9e3779b97f4a7c15;
    x = (x ^ x >> 29) * (seed() | 1);
    return x ^ x >> 32;
  }

 private:
  static uint64_t seed() {
    static const uint64_t drawn = [] {
      uint64_t value = 0x2545f4914f6cdd1d;  // stands if the kernel has no entropy yet
      (void)!getrandom(&value, sizeof value, GRND_NONBLOCK);
      return value;
    }();
    return drawn;
  }
};

}  // namespace weft
