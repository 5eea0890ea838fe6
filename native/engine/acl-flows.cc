#include "acl-flows.h"

namespace weft {
namespace {

constexpr uint64_t phaseBits = 2;

uint64_t secondOf(uint64_t nowMs) { return nowMs / 1'000; }

bool isAlive(uint64_t state, uint64_t nowMs) { return state >> phaseBits > secondOf(nowMs); }

}  // namespace

AclFlows::AclFlows(const SipKey& key) : key_(key), sets_(std::make_unique<Set[]>(sets)) {}

uint64_t AclFlows::secondsOf(const AclPacket& packet, Phase phase) {
  switch (packet.protocol) {
    case protocolTcp:
      return phase == Phase::steady ? limits::aclTcpSeconds : limits::aclTcpTransitorySeconds;
    case protocolUdp: return limits::aclUdpSeconds;
    case protocolIcmp: return limits::aclIcmpSeconds;
    default: return limits::aclOtherSeconds;
  }
}

uint64_t AclFlows::stateOf(uint64_t nowMs, const AclPacket& packet, Phase phase) {
  return (secondOf(nowMs) + secondsOf(packet, phase)) << phaseBits | static_cast<uint64_t>(phase);
}

/// Nothing when the packet begins no flow. An answer to their SYN is no flow of ours.
std::optional<AclFlows::Phase> AclFlows::afterSent(std::optional<Phase> before,
                                                   const AclPacket& packet, bool takesUp) {
  if (packet.protocol != protocolTcp) return Phase::steady;
  const uint8_t flags = packet.tcpFlags;
  if ((flags & (tcpSyn | tcpAck | tcpRst | tcpFin)) == tcpSyn) return Phase::opening;
  const bool inMiddle = (flags & (tcpSyn | tcpRst)) == 0;
  if (!before && !(takesUp && inMiddle)) return std::nullopt;
  if ((flags & (tcpFin | tcpRst)) != 0) return Phase::closing;
  // We acknowledge their answer, which RX does not look up where a rule lets it in.
  if (before == Phase::opening && inMiddle) return Phase::steady;
  return before.value_or(Phase::steady);
}

AclFlows::Phase AclFlows::afterReceived(Phase before, const AclPacket& packet) {
  if (packet.protocol != protocolTcp) return before;
  if ((packet.tcpFlags & (tcpFin | tcpRst)) != 0) return Phase::closing;
  return before == Phase::opening ? Phase::steady : before;
}

void AclFlows::sent(uint64_t nowMs, uint64_t name, const AclPacket& packet, bool takesUp) {
  Set& set = setOf(name);
  for (Slot& slot : set.slots) {
    if (slot.name.load(std::memory_order_relaxed) != name) continue;
    while (true) {
      uint64_t before = slot.state.load(std::memory_order_relaxed);
      std::optional<Phase> phase;
      if (isAlive(before, nowMs)) phase = static_cast<Phase>(before & 3);
      phase = afterSent(phase, packet, takesUp);
      if (!phase) return;
      const uint64_t after = stateOf(nowMs, packet, *phase);
      if (after == before || slot.state.compare_exchange_weak(before, after)) return;
    }
  }
  const std::optional<Phase> phase = afterSent(std::nullopt, packet, takesUp);
  if (!phase) return;
  Slot& slot = worst(set);
  // RX must not take the old state for the new name's.
  slot.state.store(0, std::memory_order_release);
  slot.name.store(name, std::memory_order_release);
  slot.state.store(stateOf(nowMs, packet, *phase), std::memory_order_release);
}

/// Free ones and those that have ended have the smallest state, too.
AclFlows::Slot& AclFlows::worst(Set& set) {
  Slot* worst = &set.slots[0];
  uint64_t least = UINT64_MAX;
  for (Slot& slot : set.slots) {
    const uint64_t state = slot.state.load(std::memory_order_relaxed);
    if (state >= least) continue;
    worst = &slot;
    least = state;
  }
  return *worst;
}

bool AclFlows::received(uint64_t nowMs, uint64_t name, const AclPacket& packet) {
  // It would be a beginning from their side.
  const bool begins = packet.protocol == protocolTcp &&
                      (packet.tcpFlags & (tcpSyn | tcpAck)) == tcpSyn;
  if (begins) return false;
  for (Slot& slot : setOf(name).slots) {
    if (slot.name.load(std::memory_order_acquire) != name) continue;
    while (true) {
      uint64_t before = slot.state.load(std::memory_order_acquire);
      // The slot may have changed hands between the two looks.
      const bool same = slot.name.load(std::memory_order_acquire) == name;
      if (!same || !isAlive(before, nowMs)) return false;
      const Phase phase = afterReceived(static_cast<Phase>(before & 3), packet);
      const uint64_t after = stateOf(nowMs, packet, phase);
      if (after == before || slot.state.compare_exchange_weak(before, after)) return true;
    }
  }
  return false;
}

bool AclFlows::has(uint64_t nowMs, uint64_t name) const {
  for (const Slot& slot : setOf(name).slots) {
    if (slot.name.load(std::memory_order_acquire) != name) continue;
    const bool alive = isAlive(slot.state.load(std::memory_order_acquire), nowMs);
    return alive && slot.name.load(std::memory_order_acquire) == name;
  }
  return false;
}

}  // namespace weft
