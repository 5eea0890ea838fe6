// The rules that hold for what one peer may begin towards us, in a form whose cost does not grow
// with their number: a verdict for each protocol, and for TCP and UDP the ports where it changes.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <vector>

#include "commands.h"

namespace weft {

/// Verdicts for ports 0..65535: `first` for port 0, turned over at each of `turns`.
struct PortVerdicts {
  bool first = false;
  std::vector<uint16_t> turns;  // ascending

  bool allows(uint16_t port) const;
};

class AclTable {
 public:
  /// nullptr when the policy passes limits::aclRules or limits::aclPortsPerRule.
  static std::shared_ptr<const AclTable> make(const AclPolicy& policy);

  /// The first rule that matches decides, else the rest. `port` is the destination's and counts for
  /// TCP and UDP only; ICMPv6 is asked about as ICMP.
  bool allows(uint8_t protocol, uint16_t port) const;
  /// A TCP port that `before` allows is no longer allowed.
  bool isStricterThan(const AclTable& before) const;
  /// Frames that carry no IP.
  bool allowsOther() const { return other_; }

 private:
  std::bitset<256> protocols_;
  bool other_ = false;
  PortVerdicts tcp_;
  PortVerdicts udp_;
};

}  // namespace weft
