// Integers at unaligned places: little endian for weft's own formats, big endian inside frames.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace weft {

static_assert(std::endian::native == std::endian::little, "loadLe and storeLe copy");

template <typename T>
inline T loadLe(const void* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
inline void storeLe(void* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

inline uint16_t loadBe16(const void* from) { return __builtin_bswap16(loadLe<uint16_t>(from)); }
inline uint32_t loadBe32(const void* from) { return __builtin_bswap32(loadLe<uint32_t>(from)); }
inline void storeBe16(void* to, uint16_t value) { storeLe(to, __builtin_bswap16(value)); }
inline void storeBe32(void* to, uint32_t value) { storeLe(to, __builtin_bswap32(value)); }

}  // namespace weft
