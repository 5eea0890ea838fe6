#include "frame-parse.h"

#include "bytes.h"
#include "engine-limits.h"

namespace weft {
namespace {

constexpr uint16_t etherTypeVlan = 0x8100;
constexpr uint16_t etherTypeProviderVlan = 0x88a8;

constexpr uint8_t hopByHop = 0;
constexpr uint8_t routing = 43;
constexpr uint8_t fragmentHeader = 44;
constexpr uint8_t authentication = 51;
constexpr uint8_t destinationOptions = 60;
constexpr uint8_t mobility = 135;

bool isVlan(uint16_t etherType) {
  return etherType == etherTypeVlan || etherType == etherTypeProviderVlan;
}

/// Finds the EtherType behind at most limits::vlanTags tags.
DropReason parseEthernet(Bytes frame, FrameView& view) {
  if (frame.size() < etherHeaderBytes) return DropReason::shortFrame;
  size_t at = etherHeaderBytes;
  uint16_t type = loadBe16(&frame[12]);
  for (size_t tags = 0; isVlan(type); tags++) {
    if (tags == limits::vlanTags) return DropReason::badField;
    if (frame.size() < at + vlanTagBytes) return DropReason::shortFrame;
    type = loadBe16(&frame[at + 2]);
    at += vlanTagBytes;
  }
  view.etherType = type;
  view.layer3Offset = static_cast<uint16_t>(at);
  return DropReason::none;
}

/// `cut`: only the headers must be there.
DropReason parseIpv4(Bytes frame, FrameView& view, bool cut = false) {
  const Bytes packet = frame.subspan(view.layer3Offset);
  if (packet.size() < ipv4HeaderBytes) return DropReason::shortFrame;
  if (packet[0] >> 4 != 4) return DropReason::badField;
  const size_t headerBytes = (packet[0] & 15U) * 4;
  const size_t totalBytes = cut ? packet.size() : loadBe16(&packet[2]);
  if (headerBytes < ipv4HeaderBytes || totalBytes < headerBytes) return DropReason::badField;
  if (totalBytes > packet.size()) return DropReason::shortFrame;
  const uint16_t fragmentField = loadBe16(&packet[6]);
  const bool more = (fragmentField & 0x2000) != 0;
  const bool later = (fragmentField & 0x1fff) != 0;
  view.layer3 = Layer3::ipv4;
  view.end = static_cast<uint32_t>(view.layer3Offset + totalBytes);
  view.fragment = more || later;
  if (later) return DropReason::none;
  view.protocol = packet[9];
  view.layer4Offset = static_cast<uint16_t>(view.layer3Offset + headerBytes);
  return DropReason::none;
}

/// Length of an extension header; 0 = `next` is not one that can be walked over.
size_t extensionBytes(uint8_t next, Bytes at) {
  switch (next) {
    case hopByHop:
    case routing:
    case destinationOptions:
    case mobility: return (at[1] + 1U) * 8;
    case fragmentHeader: return 8;
    case authentication: return (at[1] + 2U) * 4;
    default: return 0;
  }
}

bool isExtension(uint8_t next) {
  return next == hopByHop || next == routing || next == destinationOptions || next == mobility ||
         next == fragmentHeader || next == authentication;
}

/// Walks the extension headers of `packet` (cut to its end) to the transport header.
DropReason parseExtensions(Bytes packet, FrameView& view) {
  uint8_t next = packet[6];
  size_t at = ipv6HeaderBytes;
  for (size_t headers = 0; isExtension(next); headers++) {
    if (headers == limits::ipv6ExtensionHeaders) return DropReason::badField;
    if (packet.size() < at + 8) return DropReason::shortFrame;
    const Bytes header = packet.subspan(at);
    if (next == fragmentHeader) {
      view.fragment = true;
      view.fragmentOffset = static_cast<uint16_t>(view.layer3Offset + at);
      if ((loadBe16(&header[2]) & 0xfff8) != 0) return DropReason::none;  // a later fragment
    }
    const size_t bytes = extensionBytes(next, header);
    if (packet.size() < at + bytes) return DropReason::shortFrame;
    next = header[0];
    at += bytes;
  }
  view.protocol = next;
  view.layer4Offset = static_cast<uint16_t>(view.layer3Offset + at);
  return DropReason::none;
}

DropReason parseIpv6(Bytes frame, FrameView& view, bool cut = false) {
  const Bytes packet = frame.subspan(view.layer3Offset);
  if (packet.size() < ipv6HeaderBytes) return DropReason::shortFrame;
  if (packet[0] >> 4 != 6) return DropReason::badField;
  const size_t totalBytes = cut ? packet.size() : ipv6HeaderBytes + loadBe16(&packet[4]);
  if (totalBytes > packet.size()) return DropReason::shortFrame;
  view.layer3 = Layer3::ipv6;
  view.end = static_cast<uint32_t>(view.layer3Offset + totalBytes);
  return parseExtensions(packet.first(totalBytes), view);
}

DropReason parseArp(Bytes frame, FrameView& view) {
  if (frame.size() < view.layer3Offset + arpBytes) return DropReason::shortFrame;
  view.layer3 = Layer3::arp;
  view.end = static_cast<uint32_t>(view.layer3Offset + arpBytes);
  return DropReason::none;
}

}  // namespace

DropReason parseFrame(Bytes frame, FrameView& view) {
  view = FrameView{};
  if (const DropReason reason = parseEthernet(frame, view); reason != DropReason::none) {
    return reason;
  }
  view.end = static_cast<uint32_t>(frame.size());
  switch (view.etherType) {
    case etherTypeIpv4: return parseIpv4(frame, view);
    case etherTypeIpv6: return parseIpv6(frame, view);
    case etherTypeArp: return parseArp(frame, view);
    default: return DropReason::none;
  }
}

DropReason parseQuoted(Bytes quoted, FrameView& view) {
  view = FrameView{};
  if (quoted.empty()) return DropReason::shortFrame;
  return quoted[0] >> 4 == 4 ? parseIpv4(quoted, view, true) : parseIpv6(quoted, view, true);
}

}  // namespace weft
