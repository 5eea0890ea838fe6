// The clear headers of docs/WIRE.md and the descriptor inside the AEAD.
//
//      data   16 B  type | lane | flow u16 = 0 | receiver index u32 | counter u64
//             then  AEAD( descriptor 4 B | body | pad ) | tag 16 B
//      relay   8 B  type | ttl | hop tag u16 = 0 | label u32, in front of data
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "bytes.h"
#include "commands.h"
#include "drop-reason.h"
#include "engine-limits.h"

namespace weft::wire {

inline constexpr uint8_t stunLast = 3;
inline constexpr uint8_t bencodeFirst = 'd';
inline constexpr uint8_t handshakeFirst = 192;
inline constexpr uint8_t handshakeLast = 198;
inline constexpr uint8_t data = 200;
inline constexpr uint8_t relay = 201;

inline constexpr size_t dataHeaderBytes = 16;
inline constexpr size_t descriptorBytes = 4;
inline constexpr size_t tagBytes = 16;
inline constexpr size_t relayHeaderBytes = 8;
/// What one sealed message adds to its body.
inline constexpr size_t overheadBytes = dataHeaderBytes + descriptorBytes + tagBytes;
/// mac1 and mac2 behind a handshake message.
inline constexpr size_t macBytes = 16;
inline constexpr size_t fragmentIdBytes = 4;
inline constexpr size_t maxPad = 15;
inline constexpr size_t stunHeaderBytes = 20;
inline constexpr uint32_t stunCookie = 0x2112a442;

struct DataHeader {
  uint8_t lane = 0;
  uint32_t receiver = 0;
  uint64_t counter = 0;
};

inline void emitDataHeader(const DataHeader& header, uint8_t* to) {
  to[0] = data;
  to[1] = header.lane;
  storeLe<uint16_t>(to + 2, 0);
  storeLe(to + 4, header.receiver);
  storeLe(to + 8, header.counter);
}

/// `none` when `header` was filled. The flow field must be zero: nothing authenticates it.
inline DropReason parseDataHeader(Bytes datagram, DataHeader& header) {
  if (datagram.size() < overheadBytes) return DropReason::truncated;
  if (datagram[0] != data) return DropReason::unknownType;
  if (datagram[1] >= limits::lanes || loadLe<uint16_t>(&datagram[2]) != 0) {
    return DropReason::badField;
  }
  header = {datagram[1], loadLe<uint32_t>(&datagram[4]), loadLe<uint64_t>(&datagram[8])};
  return DropReason::none;
}

struct RelayHeader {
  uint8_t ttl = 0;
  uint32_t label = 0;
};

inline void emitRelayHeader(const RelayHeader& header, uint8_t* to) {
  to[0] = relay;
  to[1] = header.ttl;
  storeLe<uint16_t>(to + 2, 0);
  storeLe(to + 4, header.label);
}

inline DropReason parseRelayHeader(Bytes datagram, RelayHeader& header) {
  if (datagram.size() < relayHeaderBytes + overheadBytes) return DropReason::truncated;
  if (loadLe<uint16_t>(&datagram[2]) != 0 || datagram[relayHeaderBytes] != data) {
    return DropReason::badField;
  }
  header = {datagram[1], loadLe<uint32_t>(&datagram[4])};
  return DropReason::none;
}

enum class Kind : uint8_t { frame, control, aggregate, fragment };
enum class Layer4 : uint8_t { other, tcp, udp };

/// byte 0: kind 2 bits, partial, member, layer 4 2 bits, IPv6, ECN CE
/// byte 1: csum_start / 2    byte 2: index    byte 3: pad 4 bits, last, 3 bits zero
struct Descriptor {
  Kind kind = Kind::frame;
  bool partial = false;  // the inner checksum field holds only the pseudo-header's sum
  bool member = false;   // of a superframe; of a control message: a length precedes it
  Layer4 layer4 = Layer4::other;
  bool ipv6 = false;
  uint16_t checksumStart = 0;  // even, at most 510
  uint8_t index = 0;
  uint8_t pad = 0;
  bool last = false;
};

inline void emitDescriptor(const Descriptor& from, uint8_t* to) {
  to[0] = static_cast<uint8_t>(static_cast<unsigned>(from.kind) | (from.partial ? 4U : 0U) |
                               (from.member ? 8U : 0U) | static_cast<unsigned>(from.layer4) << 4 |
                               (from.ipv6 ? 64U : 0U));
  to[1] = static_cast<uint8_t>(from.checksumStart / 2);
  to[2] = from.index;
  to[3] = static_cast<uint8_t>((from.pad & 15U) | (from.last ? 16U : 0U));
}

inline DropReason parseDescriptor(const uint8_t* from, Descriptor& to) {
  const unsigned layer4 = from[0] >> 4 & 3U;
  if ((from[3] & 0xe0) != 0 || layer4 > 2) return DropReason::badField;
  to.kind = static_cast<Kind>(from[0] & 3);
  to.partial = (from[0] & 4) != 0;
  to.member = (from[0] & 8) != 0;
  to.layer4 = static_cast<Layer4>(layer4);
  to.ipv6 = (from[0] & 64) != 0;
  to.checksumStart = static_cast<uint16_t>(from[1] * 2);
  to.index = from[2];
  to.pad = from[3] & 15;
  to.last = (from[3] & 16) != 0;
  return DropReason::none;
}

using Salt = std::array<uint8_t, 4>;

/// nonce = salt[0..2] | lane | counter u64
inline std::array<uint8_t, 12> nonceOf(const Salt& salt, uint8_t lane, uint64_t counter) {
  std::array<uint8_t, 12> nonce{salt[0], salt[1], salt[2], lane};
  storeLe(nonce.data() + 4, counter);
  return nonce;
}

}  // namespace weft::wire
