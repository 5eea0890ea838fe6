// The flows that our side began where the rules alone would not let the answers in, and all that it
// began over TCP: those outlive stricter rules. The TX thread adds them, the RX thread looks them
// up and keeps them alive; no lock between the two.
//
//      set of 8 slots = two cache lines:   slot = name u64 | state u64
//      state = second it ends << 2 | phase,  0 = free
//
// A slot holds no addresses but their SipHash. TX alone writes names; both threads replace states
// by compare-and-swap. Time counts in whole seconds, so a busy flow is rarely written.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "acl-packet.h"
#include "engine-limits.h"

namespace weft {

class AclFlows {
 public:
  explicit AclFlows(const SipKey& key = drawSipKey());

  const SipKey& key() const { return key_; }

  /// A packet of ours leaves: its flow begins or goes on. TX thread only. In a full set the flow
  /// that would end first gives way. TCP begins with a SYN; with `takesUp` a flow that is older
  /// than this process goes on in its middle.
  void sent(uint64_t nowMs, uint64_t name, const AclPacket& packet, bool takesUp);
  /// True when the packet belongs to a living flow, which then goes on. RX thread.
  bool received(uint64_t nowMs, uint64_t name, const AclPacket& packet);
  /// Whether the flow lives; changes nothing.
  bool has(uint64_t nowMs, uint64_t name) const;

 private:
  enum class Phase : uint8_t { steady, opening, closing };
  struct Slot {
    std::atomic<uint64_t> name{0};
    std::atomic<uint64_t> state{0};
  };
  static constexpr size_t ways = 8;
  struct alignas(64) Set {
    Slot slots[ways];
  };
  static constexpr size_t sets = limits::aclFlows / ways;

  static uint64_t secondsOf(const AclPacket& packet, Phase phase);
  static uint64_t stateOf(uint64_t nowMs, const AclPacket& packet, Phase phase);
  static std::optional<Phase> afterSent(std::optional<Phase> before, const AclPacket& packet,
                                        bool takesUp);
  static Phase afterReceived(Phase before, const AclPacket& packet);
  Set& setOf(uint64_t name) const { return sets_[name % sets]; }
  static Slot& worst(Set& set);

  SipKey key_;
  std::unique_ptr<Set[]> sets_;
};

}  // namespace weft
