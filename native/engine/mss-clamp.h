// The MSS option of TCP: what a connection's ends are told about the path between them, for hosts
// that never hear an ICMP message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "frame-parse.h"

namespace weft {

/// What a SYN is clamped to.
struct MssLimit {
  /// The largest frame the path carries.
  size_t frameRoom = 0;
  /// The checksum field holds the pseudo-header sum alone: the kernel completes it.
  bool partialChecksum = false;
};

namespace detail {
bool clampSyn(std::span<uint8_t> frame, const FrameView& view, const MssLimit& limit);
}

/// Lowers the MSS option of a SYN or SYN-ACK to what fits, and corrects the checksum. True when the
/// frame was changed; everything else is left alone. Anything but a SYN costs two comparisons.
inline bool clampMss(std::span<uint8_t> frame, const FrameView& view, const MssLimit& limit) {
  constexpr size_t tcpFlags = 13;
  constexpr uint8_t flagSyn = 0x02;
  if (view.protocol != protocolTcp || view.layer4Offset == 0 || view.fragment) return false;
  if (view.end < view.layer4Offset + tcpHeaderBytes) return false;
  if ((frame[view.layer4Offset + tcpFlags] & flagSyn) == 0) return false;
  return detail::clampSyn(frame, view, limit);
}

}  // namespace weft
