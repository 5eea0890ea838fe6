// One walk over the headers of an Ethernet frame that never trusts a length. Every later step
// (filter, classification, splitting, merging) uses the offsets found here.
//
//      | dst 6 | src 6 | [VLAN tag 4]{0,2} | EtherType 2 | layer 3 ... | layer 4 ... |
//                                                         ^layer3Offset  ^layer4Offset
#pragma once

#include <cstddef>
#include <cstdint>

#include "commands.h"
#include "drop-reason.h"

namespace weft {

inline constexpr size_t etherHeaderBytes = 14;
inline constexpr size_t vlanTagBytes = 4;
inline constexpr uint16_t etherTypeIpv4 = 0x0800;
inline constexpr uint16_t etherTypeArp = 0x0806;
inline constexpr uint16_t etherTypeIpv6 = 0x86dd;
inline constexpr uint8_t protocolTcp = 6;
inline constexpr uint8_t protocolUdp = 17;
inline constexpr uint8_t protocolIcmp = 1;
inline constexpr uint8_t protocolIcmpv6 = 58;
inline constexpr size_t ipv4HeaderBytes = 20;
inline constexpr size_t ipv6HeaderBytes = 40;
inline constexpr size_t arpBytes = 28;
inline constexpr size_t tcpHeaderBytes = 20;
inline constexpr size_t udpHeaderBytes = 8;

enum class Layer3 : uint8_t { other, ipv4, ipv6, arp };

struct FrameView {
  Layer3 layer3 = Layer3::other;
  uint16_t etherType = 0;
  uint16_t layer3Offset = 0;
  /// Where the transport header begins; 0 = there is none to see (not IP, or a later fragment).
  uint16_t layer4Offset = 0;
  /// Transport protocol; valid only with layer4Offset.
  uint8_t protocol = 0;
  /// Part of a fragmented IP packet, the first part included.
  bool fragment = false;
  /// Where the IPv6 fragment header is, the last one if there are several; 0 = there is none.
  uint16_t fragmentOffset = 0;
  /// End of the IP or ARP packet: Ethernet padding lies behind it.
  uint32_t end = 0;
};

/// `none` when `view` was filled: all offsets lie inside the frame, and an IP packet's fixed
/// header, options and extension headers are whole. `shortFrame` or `badField` otherwise.
DropReason parseFrame(Bytes frame, FrameView& view);

/// The same for the beginning of an IP packet that an ICMP error quotes: what lies behind its
/// headers may be missing, `end` is what is there. Offsets count from `quoted`.
DropReason parseQuoted(Bytes quoted, FrameView& view);

/// Bytes of the transport layer that are there.
inline Bytes layer4Of(Bytes frame, const FrameView& view) {
  if (view.layer4Offset == 0) return {};
  return frame.subspan(view.layer4Offset, view.end - view.layer4Offset);
}

inline bool isUdpFrom(Bytes layer4, const FrameView& view, uint16_t port) {
  return view.protocol == protocolUdp && layer4.size() >= udpHeaderBytes &&
         (layer4[0] << 8 | layer4[1]) == port;
}

inline bool isUdpTo(Bytes layer4, const FrameView& view, uint16_t port) {
  return view.protocol == protocolUdp && layer4.size() >= udpHeaderBytes &&
         (layer4[2] << 8 | layer4[3]) == port;
}

}  // namespace weft
