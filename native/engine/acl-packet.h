// What the ACL looks at in a frame: who talks to whom over what, and what kind of word it is.
#pragma once

#include <cstdint>
#include <span>

#include "commands.h"
#include "frame-parse.h"
#include "siphash.h"

namespace weft {

struct AclPacket {
  enum class Kind : uint8_t {
    exempt,     // ARP and neighbour discovery: the source filter's
    other,      // no IP
    opaque,     // IPv6 behind a header that nobody here can walk over
    later,      // a fragment without ports: they are in the first one
    cut,        // its transport header is not whole, so that nobody can say what it is
    transport,  // all fields below are valid
  };
  enum class Icmp : uint8_t { none, request, reply, error };

  Kind kind = Kind::other;
  /// ICMPv6 counts as ICMP.
  uint8_t protocol = 0;
  uint8_t tcpFlags = 0;
  Icmp icmp = Icmp::none;
  /// TCP and UDP. Of an echo both are its identifier.
  uint16_t sourcePort = 0;
  uint16_t destinationPort = 0;
  /// 4 or 16 bytes each, in the frame.
  Bytes source;
  Bytes destination;
  /// What an ICMP error says went wrong: the beginning of an IP packet.
  Bytes quoted;
};

inline constexpr uint8_t tcpFin = 1;
inline constexpr uint8_t tcpSyn = 2;
inline constexpr uint8_t tcpRst = 4;
inline constexpr uint8_t tcpAck = 16;

/// `view` is the frame's own.
AclPacket readAclPacket(Bytes frame, const FrameView& view);

/// The packet that an ICMP error quotes; kind `later` when it cannot be told whose it is.
AclPacket readQuoted(Bytes quoted);

/// The name of a flow, seen from our side of it; the same for both of its directions.
struct AclFlowEnds {
  uint8_t protocol = 0;
  Bytes ours;
  Bytes theirs;
  uint16_t ourPort = 0;
  uint16_t theirPort = 0;
};

uint64_t aclFlowName(const SipKey& key, const AclFlowEnds& ends);
/// The same for all fragments of one packet: addresses and identification, for IPv4 the protocol,
/// too (RFC 791, RFC 8200). Only when `view.fragment`.
uint64_t aclFragmentName(const SipKey& key, Bytes frame, const FrameView& view);

}  // namespace weft
