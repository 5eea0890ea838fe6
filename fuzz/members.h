// The two members that the targets know: A sends, B is ours.
#pragma once

#include "address.h"
#include "commands.h"
#include "source-filter.h"

namespace weft::fuzz {

inline constexpr Mac macA{0x02, 0, 0, 0, 0, 0x0a};
inline constexpr Mac macB{0x02, 0, 0, 0, 0, 0x0b};

/// What A may speak for: 10.7.0.1 and 2001:db8::1.
inline std::vector<Ip> addressesOfA() {
  Ip v4;
  v4.family = Family::v4;
  v4.bytes = {10, 7, 0, 1};
  Ip v6;
  v6.family = Family::v6;
  v6.bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return {v4, v6};
}

inline SourceFilter filterOfA() {
  const FilterEntry entry{macA, addressesOfA()};
  return *SourceFilter::make({&entry, 1});
}

}  // namespace weft::fuzz
