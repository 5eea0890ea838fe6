#include "frames.h"

#include "bytes.h"
#include "checksum.h"
#include "frame-parse.h"

namespace weft::test {
namespace {

void append(Frame& to, Bytes bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

size_t checksumOffsetOf(uint8_t protocol) {
  if (protocol == protocolTcp) return 16;
  return protocol == protocolUdp ? 6 : 2;
}

}  // namespace

Ip ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  const uint8_t bytes[4] = {a, b, c, d};
  return ipv4At(bytes);
}

Ip linkLocal(const Mac& mac) {
  const uint8_t bytes[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<uint8_t>(mac[0] ^ 2), mac[1],
                             mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]};
  return ipv6At(bytes);
}

Ip ipv6(uint8_t last) {
  const uint8_t bytes[16] = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
  return ipv6At(bytes);
}

Frame ethernet(const Mac& to, const Mac& from, uint16_t etherType, Bytes payload) {
  Frame frame(to.begin(), to.end());
  append(frame, from);
  frame.push_back(static_cast<uint8_t>(etherType >> 8));
  frame.push_back(static_cast<uint8_t>(etherType));
  append(frame, payload);
  return frame;
}

Frame withVlan(const Frame& frame, uint16_t tag) {
  const uint8_t bytes[4] = {0x81, 0, static_cast<uint8_t>(tag >> 8), static_cast<uint8_t>(tag)};
  Frame tagged = frame;
  tagged.insert(tagged.begin() + 12, bytes, bytes + 4);
  return tagged;
}

Frame arp(const Mac& to, const Mac& from, const Mac& sender, const Ip& senderIp, const Ip& target) {
  Frame body{0, 1, 8, 0, 6, 4, 0, 1};
  append(body, sender);
  append(body, Bytes(senderIp.bytes).first(4));
  append(body, Frame(6, 0));
  append(body, Bytes(target.bytes).first(4));
  return ethernet(to, from, etherTypeArp, body);
}

Frame packet(const Mac& to, const Mac& from, const Ip& source, const Ip& target, uint8_t protocol,
             Bytes layer4) {
  const bool v6 = source.family == Family::v6;
  Frame ip(v6 ? ipv6HeaderBytes : ipv4HeaderBytes, 0);
  if (v6) {
    ip[0] = 0x60;
    storeBe16(&ip[4], static_cast<uint16_t>(layer4.size()));
    ip[6] = protocol;
    ip[7] = 255;
    std::memcpy(&ip[8], source.bytes.data(), 16);
    std::memcpy(&ip[24], target.bytes.data(), 16);
  } else {
    ip[0] = 0x45;
    storeBe16(&ip[2], static_cast<uint16_t>(ip.size() + layer4.size()));
    storeBe16(&ip[4], 1);
    storeBe16(&ip[6], 0x4000);
    ip[8] = 64;
    ip[9] = protocol;
    std::memcpy(&ip[12], source.bytes.data(), 4);
    std::memcpy(&ip[16], target.bytes.data(), 4);
    writeIpv4Checksum(ip.data(), ip.size());
  }
  append(ip, layer4);
  Frame frame = ethernet(to, from, v6 ? etherTypeIpv6 : etherTypeIpv4, ip);
  FrameView view;
  const size_t offset = checksumOffsetOf(protocol);
  if (parseFrame(frame, view) == DropReason::none && view.layer4Offset != 0 &&
      (protocol == protocolTcp || protocol == protocolUdp || protocol == protocolIcmpv6) &&
      layer4.size() >= offset + 2) {
    storeBe16(&frame[view.layer4Offset + offset],
              pseudoHeaderSum(frame, view, static_cast<uint32_t>(layer4.size())));
    completeChecksum(frame, view.layer4Offset, offset, frame.size());
  }
  return frame;
}

Frame udp(const Mac& to, const Mac& from, const Ip& source, const Ip& target, uint16_t sourcePort,
          uint16_t targetPort, Bytes payload) {
  Frame layer4(8, 0);
  storeBe16(&layer4[0], sourcePort);
  storeBe16(&layer4[2], targetPort);
  storeBe16(&layer4[4], static_cast<uint16_t>(8 + payload.size()));
  append(layer4, payload);
  return packet(to, from, source, target, protocolUdp, layer4);
}

Frame tcp(const Mac& to, const Mac& from, const Ip& source, const Ip& target,
          const TcpFields& fields, Bytes payload) {
  Frame layer4(tcpHeaderBytes + fields.optionBytes, 1);  // options: all no-operation
  storeBe16(&layer4[0], 40000);
  storeBe16(&layer4[2], 5201);
  storeBe32(&layer4[4], fields.sequence);
  storeBe32(&layer4[8], fields.acknowledgement);
  layer4[12] = static_cast<uint8_t>((tcpHeaderBytes + fields.optionBytes) / 4 << 4);
  layer4[13] = fields.flags;
  storeBe16(&layer4[14], 500);
  storeBe16(&layer4[16], 0);
  storeBe16(&layer4[18], 0);
  append(layer4, payload);
  Frame frame = packet(to, from, source, target, protocolTcp, layer4);
  if (source.family == Family::v4) {
    storeBe16(&frame[14 + 4], fields.id);
    writeIpv4Checksum(&frame[14], ipv4HeaderBytes);
  }
  return frame;
}

Frame icmpv6(const Mac& to, const Mac& from, const Ip& source, const Ip& target, uint8_t type,
             Bytes rest) {
  Frame layer4{type, 0, 0, 0};
  append(layer4, rest);
  return packet(to, from, source, target, protocolIcmpv6, layer4);
}

bool checksumsAreRight(Bytes frame) {
  FrameView view;
  if (parseFrame(frame, view) != DropReason::none) return false;
  if (view.layer3 == Layer3::ipv4) {
    const size_t bytes = (frame[view.layer3Offset] & 15U) * 4;
    if (checksumFold(checksumAdd(frame.subspan(view.layer3Offset, bytes))) != 0xffff) return false;
  }
  if (view.layer4Offset == 0) return true;
  const Bytes layer4 = layer4Of(frame, view);
  const uint64_t pseudo = pseudoHeaderSum(frame, view, static_cast<uint32_t>(layer4.size()));
  return checksumFold(checksumAdd(layer4, pseudo)) == 0xffff;
}

}  // namespace weft::test
