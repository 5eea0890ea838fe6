#include "source-filter.h"

#include <algorithm>

#include "bytes.h"
#include "engine-limits.h"

namespace weft {
namespace {

constexpr uint16_t etherTypeLldp = 0x88cc;
constexpr uint16_t etherTypeSlow = 0x8809;   // LACP, OAM
constexpr uint16_t etherTypePause = 0x8808;  // MAC control
constexpr uint16_t dhcpServerPort = 67;
constexpr uint16_t dhcpv6ServerPort = 547;
constexpr uint8_t icmpRedirect = 5;
constexpr uint8_t ndRouterSolicit = 133;
constexpr uint8_t ndRouterAdvertisement = 134;
constexpr uint8_t ndNeighbourSolicit = 135;
constexpr uint8_t ndNeighbourAdvertisement = 136;
constexpr uint8_t ndRedirect = 137;
constexpr size_t ndTargetOffset = 8;
constexpr size_t ndMessageBytes = 24;
constexpr uint8_t ndSourceLinkLayer = 1;
constexpr uint8_t ndTargetLinkLayer = 2;

/// 01:80:c2:00:00:00 to :0f, which no bridge may forward (IEEE 802.1Q table 8-1).
bool isLinkControl(Bytes frame, uint16_t etherType) {
  static constexpr uint8_t group[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
  return (std::equal(std::begin(group), std::end(group), frame.begin()) && frame[5] < 16) ||
         etherType == etherTypeLldp || etherType == etherTypeSlow || etherType == etherTypePause;
}

/// fe80:: with the modified EUI-64 of `mac` (RFC 4291 appendix A).
Ip linkLocalOf(const Mac& mac) {
  Ip ip;
  ip.family = Family::v6;
  ip.bytes = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(mac[0] ^ 2), mac[1], mac[2],
              0xff, 0xfe, mac[3], mac[4], mac[5]};
  return ip;
}

bool isUnspecified(const Ip& ip) {
  return std::all_of(ip.bytes.begin(), ip.bytes.end(), [](uint8_t byte) { return byte == 0; });
}

bool holds(const std::vector<Ip>& own, const Ip& ip) {
  return std::find(own.begin(), own.end(), ip) != own.end();
}

/// The first part of a packet must show its ports or ICMP type, else it could hide them (RFC 7112).
bool hidesTransport(Bytes layer4, const FrameView& view) {
  if (view.layer4Offset == 0) return false;
  switch (view.protocol) {
    case protocolUdp: return layer4.size() < udpHeaderBytes;
    case protocolTcp: return layer4.size() < tcpHeaderBytes;
    case protocolIcmp:
    case protocolIcmpv6: return layer4.size() < 4;
    default: return false;
  }
}

bool isDhcpServer(Bytes layer4, const FrameView& view) {
  return isUdpFrom(layer4, view, view.layer3 == Layer3::ipv4 ? dhcpServerPort : dhcpv6ServerPort);
}

bool redirectsTraffic(Bytes layer4, const FrameView& view) {
  if (view.layer4Offset == 0) return false;
  if (view.layer3 == Layer3::ipv4) {
    return view.protocol == protocolIcmp && layer4[0] == icmpRedirect;
  }
  return view.protocol == protocolIcmpv6 &&
         (layer4[0] == ndRouterAdvertisement || layer4[0] == ndRedirect);
}

bool isNeighbourDiscovery(Bytes layer4, const FrameView& view) {
  return view.layer3 == Layer3::ipv6 && view.layer4Offset != 0 &&
         view.protocol == protocolIcmpv6 && layer4[0] >= ndRouterSolicit &&
         layer4[0] <= ndNeighbourAdvertisement;
}

bool isDuplicateDetection(Bytes layer4, const FrameView& view) {
  return isNeighbourDiscovery(layer4, view) && layer4[0] == ndNeighbourSolicit;
}

}  // namespace

FrameSource sourceOf(Bytes frame, const FrameView& view) {
  FrameSource source;
  source.mac = macAt(&frame[6]);
  const uint8_t* layer3 = frame.data() + view.layer3Offset;
  switch (view.layer3) {
    case Layer3::ipv4: source.ip = ipv4At(layer3 + 12); break;
    case Layer3::ipv6: source.ip = ipv6At(layer3 + 8); break;
    case Layer3::arp: source.ip = ipv4At(layer3 + 14); break;
    case Layer3::other: break;
  }
  return source;
}

std::optional<SourceFilter> SourceFilter::make(std::span<const FilterEntry> entries) {
  if (entries.size() > limits::macsPerSession) return std::nullopt;
  SourceFilter filter;
  for (const FilterEntry& entry : entries) {
    if (entry.ips.size() > limits::ipsPerMac) return std::nullopt;
    filter.macs_[macKey(entry.mac)] = entry.ips;
  }
  return filter;
}

DropReason SourceFilter::check(Bytes frame, const FrameView& view) const {
  if (isLinkControl(frame, view.etherType)) return DropReason::linkControl;
  const FrameSource source = sourceOf(frame, view);
  const auto found = macs_.find(macKey(source.mac));
  if (isGroup(source.mac) || found == macs_.end()) return DropReason::sourceMac;
  if (view.layer3 == Layer3::other) return DropReason::none;
  if (view.layer3 == Layer3::arp) return checkArp(frame, view);

  const Bytes layer4 = layer4Of(frame, view);
  if (hidesTransport(layer4, view)) return DropReason::shortFrame;
  if (redirectsTraffic(layer4, view)) return DropReason::routerAdvertisement;
  if (isDhcpServer(layer4, view)) return DropReason::dhcpOverOverlay;
  const bool v6 = view.layer3 == Layer3::ipv6;
  const bool owned = holds(found->second, *source.ip) ||
                     (v6 && *source.ip == linkLocalOf(source.mac)) ||
                     (v6 && isUnspecified(*source.ip) && isDuplicateDetection(layer4, view));
  if (!owned) return DropReason::sourceIp;
  if (isNeighbourDiscovery(layer4, view)) return checkNeighbour(frame, view, found->second);
  return DropReason::none;
}

/// Ethernet and IPv4 only; the sender must be a pair we know. 0.0.0.0 is a probe (RFC 5227).
DropReason SourceFilter::checkArp(Bytes frame, const FrameView& view) const {
  static constexpr uint8_t form[6] = {0, 1, 8, 0, 6, 4};
  const uint8_t* arp = frame.data() + view.layer3Offset;
  if (!std::equal(std::begin(form), std::end(form), arp)) return DropReason::arpSender;
  const auto found = macs_.find(macKey(macAt(arp + 8)));
  if (found == macs_.end()) return DropReason::arpSender;
  const Ip sender = ipv4At(arp + 14);
  if (!isUnspecified(sender) && !holds(found->second, sender)) return DropReason::arpSender;
  return DropReason::none;
}

/// An advertisement may only name an address of its own MAC; link-layer options only known MACs.
/// Fragmented neighbour discovery is refused (RFC 6980).
DropReason SourceFilter::checkNeighbour(Bytes frame, const FrameView& view,
                                        const Addresses& own) const {
  const Bytes layer4 = layer4Of(frame, view);
  if (view.fragment) return DropReason::ndTarget;
  const bool solicitsRouter = layer4[0] == ndRouterSolicit;
  const size_t fixedBytes = solicitsRouter ? 8 : ndMessageBytes;
  if (layer4.size() < fixedBytes) return DropReason::ndTarget;
  if (layer4[0] == ndNeighbourAdvertisement) {
    const Ip target = ipv6At(&layer4[ndTargetOffset]);
    if (!holds(own, target) && target != linkLocalOf(macAt(&frame[6]))) return DropReason::ndTarget;
  }
  size_t at = fixedBytes;
  for (size_t options = 0; at < layer4.size(); options++) {
    if (options == limits::ndOptions || layer4.size() - at < 8) return DropReason::ndTarget;
    const size_t bytes = layer4[at + 1] * 8U;
    if (bytes == 0 || bytes > layer4.size() - at) return DropReason::ndTarget;
    const bool linkLayer = layer4[at] == ndSourceLinkLayer || layer4[at] == ndTargetLinkLayer;
    if (linkLayer && !speaksFor(macAt(&layer4[at + 2]))) return DropReason::ndTarget;
    at += bytes;
  }
  return DropReason::none;
}

}  // namespace weft
