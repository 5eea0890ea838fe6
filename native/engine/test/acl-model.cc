#include "acl-model.h"

#include <algorithm>

#include "bytes.h"

namespace weft::test {
namespace {

constexpr uint8_t fin = 1, syn = 2, rst = 4, ack = 16;

bool isIcmp(const Meant& packet) { return packet.protocol == (packet.ipv6 ? 58 : 1); }
bool hasPorts(const Meant& packet) { return packet.protocol == 6 || packet.protocol == 17; }
bool isRequest(const Meant& packet) { return packet.icmpType == (packet.ipv6 ? 128 : 8); }
bool isReply(const Meant& packet) { return packet.icmpType == (packet.ipv6 ? 129 : 0); }
bool isError(const Meant& packet) {
  const uint8_t type = packet.icmpType;
  return packet.ipv6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

/// What a rule calls it.
uint8_t ruleProtocol(const Meant& packet) { return isIcmp(packet) ? 1 : packet.protocol; }

std::vector<uint8_t> address(bool ipv6, uint8_t machine) {
  if (!ipv6) return {10, 7, 0, machine};
  std::vector<uint8_t> made(16, 0);
  made[0] = 0xfd;
  made[15] = machine;
  return made;
}

void put16(std::vector<uint8_t>& to, uint16_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}

void append(std::vector<uint8_t>& to, const std::vector<uint8_t>& what) {
  to.insert(to.end(), what.begin(), what.end());
}

std::vector<uint8_t> ipBytes(const Meant& packet);

std::vector<uint8_t> transportBytes(const Meant& packet) {
  std::vector<uint8_t> made;
  if (hasPorts(packet)) {
    put16(made, packet.sourcePort);
    put16(made, packet.targetPort);
    made.resize(packet.protocol == 6 ? 20 : 8, 0);
    if (packet.protocol == 6) made[13] = packet.flags;
  } else if (isIcmp(packet)) {
    made = {packet.icmpType, 0, 0, 0};
    put16(made, packet.echoId);
    put16(made, 0);
    for (const Meant& inner : packet.quoted) {
      std::vector<uint8_t> quote = ipBytes(inner);
      quote.resize(std::min(quote.size(), packet.quotedBytes));
      append(made, quote);
    }
  }
  if (packet.quoted.empty()) made.resize(made.size() + 12, 0xaa);
  return made;
}

/// The chain of IPv6 headers behind the fixed one; `next` becomes the first one's number.
std::vector<uint8_t> chainBytes(const Meant& packet, uint8_t& next) {
  std::vector<uint8_t> kinds = packet.extensions;
  if (packet.part != Meant::Part::whole) kinds.push_back(44);
  std::vector<uint8_t> made;
  next = packet.what == Meant::What::unknownHeader ? 253 : packet.protocol;
  for (auto kind = kinds.rbegin(); kind != kinds.rend(); ++kind) {
    std::vector<uint8_t> header(*kind == 51 ? 16 : *kind == 44 ? 8 : 16, 0);
    header[0] = next;
    if (*kind == 51) header[1] = 2;                  // (2 + 2) * 4
    if (*kind != 51 && *kind != 44) header[1] = 1;   // (1 + 1) * 8
    if (*kind == 44) {
      storeBe16(&header[2], packet.part == Meant::Part::first ? 1 : 64 << 3);
      storeBe16(&header[6], packet.id);
    }
    append(header, made);
    made = header;
    next = *kind;
  }
  return made;
}

std::vector<uint8_t> ipBytes(const Meant& packet) {
  std::vector<uint8_t> made;
  const std::vector<uint8_t> body = transportBytes(packet);
  if (packet.ipv6) {
    uint8_t next = 0;
    const std::vector<uint8_t> chain = chainBytes(packet, next);
    made = {0x60, 0, 0, 0};
    put16(made, static_cast<uint16_t>(chain.size() + body.size()));
    made.push_back(next);
    made.push_back(64);
    append(made, address(true, packet.source));
    append(made, address(true, packet.target));
    append(made, chain);
  } else {
    made = {0x45, 0};
    put16(made, static_cast<uint16_t>(20 + body.size()));
    put16(made, packet.part == Meant::Part::whole ? 0 : packet.id);
    put16(made, packet.part == Meant::Part::whole ? 0x4000
                : packet.part == Meant::Part::first ? 0x2000
                                                    : 64);
    made.push_back(64);
    made.push_back(packet.protocol);
    put16(made, 0);
    append(made, address(false, packet.source));
    append(made, address(false, packet.target));
  }
  append(made, body);
  return made;
}

}  // namespace

Frame bytesOf(const Meant& packet) {
  switch (packet.what) {
    case Meant::What::arp: return arp(macB, macA, macA, ipv4(10, 7, 0, 1), ipv4(10, 7, 0, 2));
    case Meant::What::noIp: return ethernet(macB, macA, 0x88b5, std::vector<uint8_t>(50, 1));
    case Meant::What::neighbour:
      return icmpv6(macB, macA, ipv6(1), ipv6(2), 135, std::vector<uint8_t>(20, 0));
    default: return ethernet(macB, macA, packet.ipv6 ? 0x86dd : 0x0800, ipBytes(packet));
  }
}

bool AclModel::ruleAllows(std::optional<uint8_t> protocol, uint16_t port) const {
  for (const AclRule& rule : policy_.rules) {
    if (rule.protocol && rule.protocol != protocol) continue;
    bool matches = rule.ports.empty();
    if (protocol == 6 || protocol == 17) {
      for (const AclPorts& range : rule.ports) {
        matches = matches || (port >= range.first && port <= range.last);
      }
    }
    if (matches) return rule.allow;
  }
  return policy_.allowsRest;
}

void AclModel::setPolicy(const AclPolicy& policy) {
  const AclModel before = *this;
  policy_ = policy;
  for (uint32_t port = 0; port < 65'536; port++) {
    const auto number = static_cast<uint16_t>(port);
    if (!ruleAllows(6, number) && before.ruleAllows(6, number)) takeUpEndsMs_ = 0;
  }
}

bool AclModel::isAlive(uint64_t nowMs, const FlowKey& key) const {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return false;
  const Flow& flow = found->second;
  uint64_t seconds = 600;
  if (std::get<1>(key) == 6) seconds = flow.phase == Phase::open ? 7'440 : 240;
  if (std::get<1>(key) == 17) seconds = 300;
  if (std::get<1>(key) == 1) seconds = 60;
  return nowMs / 1000 < flow.lastSecond + seconds;
}

void AclModel::sent(uint64_t nowMs, const Meant& packet) {
  if (packet.what != Meant::What::ip || packet.part == Meant::Part::later) return;
  const uint8_t protocol = ruleProtocol(packet);
  if (isIcmp(packet) && !isRequest(packet)) return;
  const uint16_t ours = isIcmp(packet) ? packet.echoId : packet.sourcePort;
  const uint16_t theirs = isIcmp(packet) ? packet.echoId : packet.targetPort;
  const bool ruled = ruleAllows(protocol, ours);
  if (ruled && protocol != 6) return;  // answers need no flow
  const FlowKey key{packet.ipv6, protocol, packet.source, packet.target,
                    hasPorts(packet) || isIcmp(packet) ? ours : uint16_t{0},
                    hasPorts(packet) || isIcmp(packet) ? theirs : uint16_t{0}};
  const bool alive = isAlive(nowMs, key);
  Phase phase = alive ? flows_[key].phase : Phase::open;
  if (protocol == 6) {
    const int flags = packet.flags & (syn | ack | rst | fin);
    if (flags == syn) {
      phase = Phase::opening;
    } else {
      const bool takesUp = !ruled && nowMs < takeUpEndsMs_ && ours >= 32'768;
      if (!alive && (!takesUp || (flags & syn) != 0 || (flags & rst) != 0)) return;
      if ((flags & (fin | rst)) != 0) {
        phase = Phase::closing;
      } else if (phase == Phase::opening && (flags & syn) == 0) {
        phase = Phase::open;
      }
    }
  }
  flows_[key] = {nowMs / 1000, phase};
}

bool AclModel::passes(uint64_t nowMs, const Meant& packet) {
  switch (packet.what) {
    case Meant::What::arp:
    case Meant::What::neighbour: return true;
    case Meant::What::noIp: return ruleAllows(std::nullopt, 0);
    case Meant::What::unknownHeader:
      if (packet.part != Meant::Part::later) return false;
      break;
    case Meant::What::ip: break;
  }
  const PacketKey key{packet.ipv6, packet.source, packet.target,
                      packet.ipv6 ? uint8_t{0} : packet.protocol, packet.id};
  if (packet.part == Meant::Part::later) {
    return std::any_of(lets_.begin(), lets_.end(), [&](const Let& let) {
      return let.key == key && let.untilMs > nowMs;
    });
  }
  const bool passed = passesWhole(nowMs, packet);
  if (packet.part == Meant::Part::first) remember(nowMs, packet, passed);
  return passed;
}

bool AclModel::passesWhole(uint64_t nowMs, const Meant& packet) {
  const uint8_t protocol = ruleProtocol(packet);
  if (ruleAllows(protocol, packet.targetPort)) return true;
  if (isIcmp(packet) && isError(packet)) return isAboutOurs(nowMs, packet);
  if (isIcmp(packet) && !isReply(packet)) return false;
  if (protocol == 6 && (packet.flags & syn) != 0 && (packet.flags & ack) == 0) return false;
  const bool numbered = hasPorts(packet);
  const FlowKey key{packet.ipv6,
                    protocol,
                    packet.target,
                    packet.source,
                    numbered ? packet.targetPort : isIcmp(packet) ? packet.echoId : uint16_t{0},
                    numbered ? packet.sourcePort : isIcmp(packet) ? packet.echoId : uint16_t{0}};
  if (!isAlive(nowMs, key)) return false;
  Flow& flow = flows_[key];
  flow.lastSecond = nowMs / 1000;
  if (protocol == 6) {
    if ((packet.flags & (fin | rst)) != 0) {
      flow.phase = Phase::closing;
    } else if (flow.phase == Phase::opening) {
      flow.phase = Phase::open;
    }
  }
  return true;
}

bool AclModel::isAboutOurs(uint64_t nowMs, const Meant& error) const {
  if (error.quoted.empty()) return false;
  const Meant& ours = error.quoted.front();
  if (ours.part == Meant::Part::later || ours.source != error.target) return false;
  size_t headers = (ours.ipv6 ? 40U : 20U) + 8;
  for (size_t i = 0; i < ours.extensions.size(); i++) headers += 16;
  if (ours.part == Meant::Part::first && ours.ipv6) headers += 8;
  if (error.quotedBytes < headers) return false;
  const uint8_t protocol = ruleProtocol(ours);
  if (isIcmp(ours) && isError(ours)) return false;
  if (ruleAllows(protocol, ours.sourcePort)) return true;
  if (isIcmp(ours) && !isRequest(ours)) return false;
  const bool echo = isIcmp(ours);
  return isAlive(nowMs, {ours.ipv6, protocol, ours.source, ours.target,
                         echo ? ours.echoId : ours.sourcePort,
                         echo ? ours.echoId : ours.targetPort});
}

/// The newest 64 count; a first fragment that did not pass takes the leave back.
void AclModel::remember(uint64_t nowMs, const Meant& first, bool passed) {
  const PacketKey key{first.ipv6, first.source, first.target,
                      first.ipv6 ? uint8_t{0} : first.protocol, first.id};
  for (Let& let : lets_) {
    if (let.key == key) let.untilMs = 0;
  }
  if (!passed) return;
  lets_.push_back({key, nowMs + 30'000});
  if (lets_.size() > 64) lets_.pop_front();
}

}  // namespace weft::test
