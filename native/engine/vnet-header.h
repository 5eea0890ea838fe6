// struct virtio_net_hdr: what stands in front of a frame on a TAP with IFF_VNET_HDR. Declared here
// because <linux/virtio_net.h> of some distributions is no valid C++. Host byte order (the TAP's
// default).
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

struct VnetHeader {
  static constexpr uint8_t needsChecksum = 1;  // flags
  static constexpr uint8_t gsoNone = 0;        // gsoType
  static constexpr uint8_t gsoTcp4 = 1;
  static constexpr uint8_t gsoTcp6 = 4;
  static constexpr uint8_t gsoEcn = 0x80;

  uint8_t flags = 0;
  uint8_t gsoType = gsoNone;
  uint16_t headerBytes = 0;
  uint16_t segmentBytes = 0;
  uint16_t checksumStart = 0;
  uint16_t checksumOffset = 0;
};
static_assert(sizeof(VnetHeader) == 10);

}  // namespace weft
