// Addresses as plain values: what the tables are keyed with and what crosses the public header.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

namespace weft {

/// Six octets in transmission order.
using Mac = std::array<uint8_t, 6>;

enum class Family : uint8_t { v4 = 4, v6 = 6 };

/// An IPv4 (first four bytes, the rest zero) or IPv6 address in network order.
struct Ip {
  std::array<uint8_t, 16> bytes{};
  Family family = Family::v4;

  bool operator==(const Ip&) const = default;
};

/// A transport address of the underlay. `port` is in host order.
struct Endpoint {
  std::array<uint8_t, 16> ip{};
  Family family = Family::v4;
  uint16_t port = 0;

  bool operator==(const Endpoint&) const = default;
};

/// Group bit of the first octet (IEEE 802): broadcast or multicast.
inline bool isGroup(const Mac& mac) { return (mac[0] & 1) != 0; }

/// A MAC as one integer, for tables.
inline uint64_t macKey(const Mac& mac) {
  uint64_t key = 0;
  std::memcpy(&key, mac.data(), mac.size());
  return key;
}

/// The MAC at `bytes`; the caller has checked that six are there.
inline Mac macAt(const uint8_t* bytes) {
  Mac mac;
  std::memcpy(mac.data(), bytes, mac.size());
  return mac;
}

/// @param bytes 4 octets
inline Ip ipv4At(const uint8_t* bytes) {
  Ip ip;
  std::memcpy(ip.bytes.data(), bytes, 4);
  return ip;
}

/// @param bytes 16 octets
inline Ip ipv6At(const uint8_t* bytes) {
  Ip ip;
  ip.family = Family::v6;
  std::memcpy(ip.bytes.data(), bytes, 16);
  return ip;
}

}  // namespace weft
