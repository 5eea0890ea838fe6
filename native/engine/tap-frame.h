// A frame from the TAP outside of the read buffer: its bytes and what the kernel left to do on it.
#pragma once

#include <cstdint>
#include <vector>

#include "vnet-header.h"

namespace weft {

struct TapFrame {
  VnetHeader vnet;
  std::vector<uint8_t> bytes;
};

}  // namespace weft
