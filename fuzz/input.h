// What a target reads its choices from, and how it says that a promise is broken.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "commands.h"

namespace weft::fuzz {

/// Ends the run: libFuzzer keeps the input. Stays on in every build.
inline void require(bool promise) {
  if (!promise) __builtin_trap();
}

/// The bytes of one input, front to back; past the end come zeros.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  uint8_t byte() {
    const Bytes one = take(1);
    return one.empty() ? 0 : one[0];
  }
  uint16_t word() {
    const uint8_t low = byte();
    return static_cast<uint16_t>(low | byte() << 8);
  }
  Bytes take(size_t count) {
    const Bytes taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  Bytes rest() { return take(rest_.size()); }

 private:
  Bytes rest_;
};

/// A copy of exactly its size on the heap: one byte too far is seen.
inline std::vector<uint8_t> copyOf(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace weft::fuzz

/// The one function of a target. An input is never refused: every input counts.
#define FUZZ_TARGET(input)                                              \
  static void fuzzOne(weft::fuzz::Input input);                         \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    fuzzOne(weft::fuzz::Input(data, size));                             \
    return 0;                                                           \
  }                                                                     \
  static void fuzzOne([[maybe_unused]] weft::fuzz::Input input)
