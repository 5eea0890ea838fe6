#include "acl-packet.h"

#include <algorithm>
#include <array>

#include "bytes.h"

namespace weft {
namespace {

/// Host Identity, Shim6 and the two experimental ones: IANA's list of IPv6 extension headers less
/// those that parseFrame walks over.
constexpr std::array<uint8_t, 4> unknownExtensions = {139, 140, 253, 254};
constexpr uint8_t ndFirst = 133;
constexpr uint8_t ndLast = 137;
constexpr size_t icmpHeaderBytes = 8;
/// What every ICMP error must quote behind the IP header (RFC 792).
constexpr size_t quotedTransportBytes = 8;

AclPacket::Icmp icmpKind(bool ipv6, uint8_t type) {
  using Icmp = AclPacket::Icmp;
  if (ipv6) {
    if (type >= 1 && type <= 4) return Icmp::error;
    if (type == 128) return Icmp::request;
    return type == 129 ? Icmp::reply : Icmp::none;
  }
  if (type == 3 || type == 11 || type == 12) return Icmp::error;
  if (type == 8) return Icmp::request;
  return type == 0 ? Icmp::reply : Icmp::none;
}

void readAddresses(Bytes frame, const FrameView& view, AclPacket& packet) {
  const bool ipv6 = view.layer3 == Layer3::ipv6;
  const size_t bytes = ipv6 ? 16 : 4;
  const size_t at = view.layer3Offset + (ipv6 ? 8U : 12U);
  packet.source = frame.subspan(at, bytes);
  packet.destination = frame.subspan(at + bytes, bytes);
}

void readIcmp(Bytes layer4, bool ipv6, AclPacket& packet) {
  packet.icmp = icmpKind(ipv6, layer4[0]);
  if (layer4.size() < icmpHeaderBytes) {
    packet.icmp = AclPacket::Icmp::none;
  } else if (packet.icmp == AclPacket::Icmp::error) {
    packet.quoted = layer4.subspan(icmpHeaderBytes);
  } else if (packet.icmp != AclPacket::Icmp::none) {
    packet.sourcePort = packet.destinationPort = loadBe16(&layer4[4]);
  }
}

/// The part of a transport header that is read below.
size_t leastBytes(uint8_t protocol) {
  switch (protocol) {
    case protocolTcp: return tcpHeaderBytes;
    case protocolUdp: return udpHeaderBytes;
    case protocolIcmp:
    case protocolIcmpv6: return 4;
    default: return 0;
  }
}

/// Both families in one go; ports are there, TCP's flags perhaps.
void readTransport(Bytes layer4, const FrameView& view, AclPacket& packet) {
  const bool ipv6 = view.layer3 == Layer3::ipv6;
  packet.kind = AclPacket::Kind::transport;
  packet.protocol = view.protocol;
  if (packet.protocol == protocolTcp || packet.protocol == protocolUdp) {
    packet.sourcePort = loadBe16(&layer4[0]);
    packet.destinationPort = loadBe16(&layer4[2]);
  }
  if (packet.protocol == protocolTcp && layer4.size() > 13) packet.tcpFlags = layer4[13];
  const bool icmpv6 = ipv6 && packet.protocol == protocolIcmpv6;
  if (icmpv6 || (!ipv6 && packet.protocol == protocolIcmp)) {
    packet.protocol = protocolIcmp;
    readIcmp(layer4, ipv6, packet);
  }
}

uint64_t portsWord(const AclFlowEnds& ends) {
  return ends.protocol | static_cast<uint64_t>(ends.ours.size()) << 8 |
         static_cast<uint64_t>(ends.ourPort) << 16 | static_cast<uint64_t>(ends.theirPort) << 32;
}

uint64_t nameOf(const SipKey& key, uint64_t first, Bytes one, Bytes other) {
  std::array<uint64_t, 5> words{first};
  if (one.size() == 4) {
    words[1] = static_cast<uint64_t>(loadLe<uint32_t>(one.data())) << 32 |
               loadLe<uint32_t>(other.data());
    return siphash(key, {words.data(), 2});
  }
  std::memcpy(&words[1], one.data(), 16);
  std::memcpy(&words[3], other.data(), 16);
  return siphash(key, words);
}

}  // namespace

AclPacket readAclPacket(Bytes frame, const FrameView& view) {
  AclPacket packet;
  if (view.layer3 == Layer3::arp) packet.kind = AclPacket::Kind::exempt;
  if (view.layer3 != Layer3::ipv4 && view.layer3 != Layer3::ipv6) return packet;
  readAddresses(frame, view, packet);
  if (view.layer4Offset == 0) {
    packet.kind = AclPacket::Kind::later;
    return packet;
  }
  const Bytes layer4 = layer4Of(frame, view);
  if (layer4.size() < leastBytes(view.protocol)) {
    packet.kind = AclPacket::Kind::cut;
    return packet;
  }
  if (view.layer3 == Layer3::ipv6) {
    const auto& unknown = unknownExtensions;
    if (std::find(unknown.begin(), unknown.end(), view.protocol) != unknown.end()) {
      packet.kind = AclPacket::Kind::opaque;
      return packet;
    }
    if (view.protocol == protocolIcmpv6 && layer4[0] >= ndFirst && layer4[0] <= ndLast) {
      packet.kind = AclPacket::Kind::exempt;
      return packet;
    }
  }
  readTransport(layer4, view, packet);
  return packet;
}

/// The quoted packet is cut: its lengths say nothing about what is there.
AclPacket readQuoted(Bytes quoted) {
  AclPacket packet;
  packet.kind = AclPacket::Kind::later;
  FrameView view;
  if (parseQuoted(quoted, view) != DropReason::none || view.layer4Offset == 0) return packet;
  const Bytes layer4 = quoted.subspan(view.layer4Offset);
  if (layer4.size() < quotedTransportBytes) return packet;
  readAddresses(quoted, view, packet);
  readTransport(layer4, view, packet);
  return packet;
}

uint64_t aclFlowName(const SipKey& key, const AclFlowEnds& ends) {
  return nameOf(key, portsWord(ends), ends.ours, ends.theirs);
}

uint64_t aclFragmentName(const SipKey& key, Bytes frame, const FrameView& view) {
  AclPacket packet;
  readAddresses(frame, view, packet);
  const uint8_t* ip = &frame[view.layer3Offset];
  uint64_t first = static_cast<uint64_t>(loadBe16(ip + 4)) << 16 | ip[9];
  if (view.layer3 == Layer3::ipv6) first = loadBe32(&frame[view.fragmentOffset + 4]);
  return nameOf(key, first, packet.source, packet.destination);
}

}  // namespace weft
