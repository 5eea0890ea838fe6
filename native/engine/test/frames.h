// Frames for tests, built by hand with complete checksums.
#pragma once

#include <cstdint>
#include <vector>

#include "address.h"
#include "commands.h"

namespace weft::test {

inline constexpr Mac macA{0x02, 0, 0, 0, 0, 0x0a};
inline constexpr Mac macB{0x02, 0, 0, 0, 0, 0x0b};
inline constexpr Mac macC{0x02, 0, 0, 0, 0, 0x0c};
inline constexpr Mac broadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

using Frame = std::vector<uint8_t>;

Ip ipv4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
/// fe80::/64 with the EUI-64 of the MAC.
Ip linkLocal(const Mac& mac);
Ip ipv6(uint8_t last);  // 2001:db8::last

Frame ethernet(const Mac& to, const Mac& from, uint16_t etherType, Bytes payload);
/// Inserts one 802.1Q tag behind the addresses.
Frame withVlan(const Frame& frame, uint16_t tag);
Frame arp(const Mac& to, const Mac& from, const Mac& sender, const Ip& senderIp, const Ip& target);
/// An IP packet of the family of `source` in a frame.
Frame packet(const Mac& to, const Mac& from, const Ip& source, const Ip& target, uint8_t protocol,
             Bytes layer4);
Frame udp(const Mac& to, const Mac& from, const Ip& source, const Ip& target, uint16_t sourcePort,
          uint16_t targetPort, Bytes payload);
struct TcpFields {
  uint32_t sequence = 1;
  uint32_t acknowledgement = 1;
  uint8_t flags = 0x10;
  uint16_t id = 1;
  size_t optionBytes = 12;
};
Frame tcp(const Mac& to, const Mac& from, const Ip& source, const Ip& target,
          const TcpFields& fields, Bytes payload);
/// ICMPv6 message with `type`; `rest` follows the checksum.
Frame icmpv6(const Mac& to, const Mac& from, const Ip& source, const Ip& target, uint8_t type,
             Bytes rest);
/// Whether IPv4 header and TCP, UDP or ICMPv6 checksums are right.
bool checksumsAreRight(Bytes frame);

}  // namespace weft::test
