// The slow, obvious ACL that the engine's is compared with: it reads no bytes, walks every rule,
// and keeps flows in a map. Packets are descriptions; `bytesOf` writes them as frames.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "commands.h"
#include "frames.h"

namespace weft::test {

/// A packet as it is meant. Machines are numbers: 0.. are ours, 100.. are the peer's.
struct Meant {
  enum class What : uint8_t { ip, arp, neighbour, noIp, unknownHeader };
  enum class Part : uint8_t { whole, first, later };

  What what = What::ip;
  bool ipv6 = false;
  uint8_t source = 0;
  uint8_t target = 0;
  uint8_t protocol = 17;  // as on the wire: 58 for ICMPv6
  uint16_t sourcePort = 0;
  uint16_t targetPort = 0;
  uint8_t flags = 0;
  uint8_t icmpType = 0;
  uint16_t echoId = 0;
  std::vector<uint8_t> extensions;  // IPv6 headers in front of the transport
  Part part = Part::whole;
  uint16_t id = 0;            // of a fragmented packet
  std::vector<Meant> quoted;  // at most one, of an ICMP error
  size_t quotedBytes = 64;    // of the quoted packet, as far as it is there
};

Frame bytesOf(const Meant& packet);

class AclModel {
 public:
  AclModel(uint64_t nowMs, const AclPolicy& policy) : policy_(policy) { openSession(nowMs); }
  void setPolicy(const AclPolicy& policy);
  /// The peer is linked anew: what was remembered stays.
  void openSession(uint64_t nowMs) { takeUpEndsMs_ = nowMs + 120'000; }
  void sent(uint64_t nowMs, const Meant& packet);
  bool passes(uint64_t nowMs, const Meant& packet);

 private:
  enum class Phase : uint8_t { opening, open, closing };
  struct Flow {
    uint64_t lastSecond;
    Phase phase;
  };
  /// IPv6?, protocol, our machine, their machine, our port, their port
  using FlowKey = std::tuple<bool, uint8_t, uint8_t, uint8_t, uint16_t, uint16_t>;
  /// IPv6?, source, target, protocol (IPv4 only), identification
  using PacketKey = std::tuple<bool, uint8_t, uint8_t, uint8_t, uint16_t>;
  struct Let {
    PacketKey key;
    uint64_t untilMs;
  };

  bool ruleAllows(std::optional<uint8_t> protocol, uint16_t port) const;
  bool isAlive(uint64_t nowMs, const FlowKey& key) const;
  bool passesWhole(uint64_t nowMs, const Meant& packet);
  bool isAboutOurs(uint64_t nowMs, const Meant& error) const;
  void remember(uint64_t nowMs, const Meant& first, bool passed);

  AclPolicy policy_;
  std::map<FlowKey, Flow> flows_;
  uint64_t takeUpEndsMs_ = 0;
  std::deque<Let> lets_;
};

}  // namespace weft::test
