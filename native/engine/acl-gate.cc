#include "acl-gate.h"

#include <algorithm>

namespace weft {
namespace {

/// The flow of a packet that we sent.
AclFlowEnds endsOfSent(const AclPacket& packet) {
  return {packet.protocol, packet.source, packet.destination, packet.sourcePort,
          packet.destinationPort};
}

AclFlowEnds endsOfReceived(const AclPacket& packet) {
  return {packet.protocol, packet.destination, packet.source, packet.destinationPort,
          packet.sourcePort};
}

}  // namespace

void AclFragments::allow(uint64_t nowMs, uint64_t name) {
  forget(name);
  entries_[next_] = {name, nowMs + limits::aclFragmentMs};
  next_ = (next_ + 1) % entries_.size();
}

void AclFragments::forget(uint64_t name) {
  for (Entry& each : entries_) {
    if (each.name == name) each.endMs = 0;
  }
}

bool AclFragments::has(uint64_t nowMs, uint64_t name) const {
  return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& each) {
    return each.name == name && each.endMs > nowMs;
  });
}

DropReason AclGate::judge(uint64_t nowMs, Bytes frame, const FrameView& view) {
  const AclPacket packet = readAclPacket(frame, view);
  const uint64_t fragment = view.fragment ? aclFragmentName(flows_->key(), frame, view) : 0;
  bool allowed = false;
  switch (packet.kind) {
    case AclPacket::Kind::exempt: return DropReason::none;
    case AclPacket::Kind::opaque: return DropReason::acl;
    // also a first fragment, though its number may be one that was let in a moment ago
    case AclPacket::Kind::cut: return DropReason::acl;
    case AclPacket::Kind::other: allowed = table_->allowsOther(); break;
    case AclPacket::Kind::later: allowed = view.fragment && fragments_.has(nowMs, fragment); break;
    case AclPacket::Kind::transport:
      allowed = allows(nowMs, packet);
      if (view.fragment && allowed) fragments_.allow(nowMs, fragment);
      if (view.fragment && !allowed) fragments_.forget(fragment);
      break;
  }
  return allowed ? DropReason::none : DropReason::acl;
}

bool AclGate::allows(uint64_t nowMs, const AclPacket& packet) const {
  if (table_->allows(packet.protocol, packet.destinationPort)) return true;
  if (packet.icmp == AclPacket::Icmp::error) return isAboutOurs(nowMs, packet);
  return isAnswer(nowMs, packet);
}

/// Of ICMP only echo replies answer something.
bool AclGate::isAnswer(uint64_t nowMs, const AclPacket& packet) const {
  if (packet.protocol == protocolIcmp && packet.icmp != AclPacket::Icmp::reply) return false;
  const uint64_t name = aclFlowName(flows_->key(), endsOfReceived(packet));
  return flows_->received(nowMs, name, packet);
}

/// An error goes to whom the quoted packet came from, and that packet was of a flow that may be
/// answered.
bool AclGate::isAboutOurs(uint64_t nowMs, const AclPacket& error) const {
  const AclPacket ours = readQuoted(error.quoted);
  if (ours.kind != AclPacket::Kind::transport) return false;
  if (!std::equal(ours.source.begin(), ours.source.end(), error.destination.begin(),
                  error.destination.end())) {
    return false;
  }
  if (ours.protocol == protocolIcmp && ours.icmp == AclPacket::Icmp::error) return false;
  if (table_->allows(ours.protocol, ours.sourcePort)) return true;
  if (ours.protocol == protocolIcmp && ours.icmp != AclPacket::Icmp::request) return false;
  return flows_->has(nowMs, aclFlowName(flows_->key(), endsOfSent(ours)));
}

void AclWatch::setTable(std::shared_ptr<const AclTable> table) {
  if (table->isStricterThan(*table_)) takeUpEndsMs_ = 0;
  table_ = std::move(table);
}

void AclWatch::sent(uint64_t nowMs, Bytes frame, const FrameView& view) {
  const AclPacket packet = readAclPacket(frame, view);
  if (packet.kind != AclPacket::Kind::transport) return;
  if (packet.protocol == protocolIcmp && packet.icmp != AclPacket::Icmp::request) return;
  const bool ruled = table_->allows(packet.protocol, packet.sourcePort);
  if (ruled && packet.protocol != protocolTcp) return;
  const bool takesUp =
      !ruled && nowMs < takeUpEndsMs_ && packet.sourcePort >= limits::aclTakeUpPort;
  flows_->sent(nowMs, aclFlowName(flows_->key(), endsOfSent(packet)), packet, takesUp);
}

}  // namespace weft
