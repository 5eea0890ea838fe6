#include "acl-table.h"

#include <algorithm>
#include <bit>

#include "engine-limits.h"
#include "frame-parse.h"

namespace weft {
namespace {

constexpr size_t ports = 65'536;
constexpr size_t wordBits = 64;
using PortBits = std::vector<uint64_t>;

void paint(PortBits& bits, AclPorts range, bool allow) {
  for (size_t port = range.first; port <= range.last;) {
    const size_t word = port / wordBits;
    const size_t from = port % wordBits;
    const size_t count = std::min(wordBits - from, range.last - port + 1);
    const uint64_t mask = (count == wordBits ? ~0ULL : (1ULL << count) - 1) << from;
    bits[word] = allow ? bits[word] | mask : bits[word] & ~mask;
    port += count;
  }
}

/// Painted from the last rule to the first: what is painted later covers what was there.
PortVerdicts verdictsOf(const AclPolicy& policy, uint8_t protocol) {
  PortBits bits(ports / wordBits, policy.allowsRest ? ~0ULL : 0);
  for (auto rule = policy.rules.rbegin(); rule != policy.rules.rend(); ++rule) {
    if (rule->protocol && *rule->protocol != protocol) continue;
    if (rule->ports.empty()) paint(bits, {0, ports - 1}, rule->allow);
    for (const AclPorts& range : rule->ports) paint(bits, range, rule->allow);
  }
  PortVerdicts verdicts;
  verdicts.first = (bits[0] & 1) != 0;
  uint64_t before = verdicts.first ? 1 : 0;
  for (size_t word = 0; word < bits.size(); word++) {
    for (uint64_t turns = bits[word] ^ (bits[word] << 1 | before); turns != 0;
         turns &= turns - 1) {
      verdicts.turns.push_back(
          static_cast<uint16_t>(word * wordBits + static_cast<size_t>(std::countr_zero(turns))));
    }
    before = bits[word] >> (wordBits - 1);
  }
  return verdicts;
}

bool isWithinLimits(const AclPolicy& policy) {
  return policy.rules.size() <= limits::aclRules &&
         std::all_of(policy.rules.begin(), policy.rules.end(), [](const AclRule& rule) {
           return rule.ports.size() <= limits::aclPortsPerRule;
         });
}

}  // namespace

bool PortVerdicts::allows(uint16_t port) const {
  const auto turned = std::upper_bound(turns.begin(), turns.end(), port) - turns.begin();
  return first != (turned % 2 != 0);
}

std::shared_ptr<const AclTable> AclTable::make(const AclPolicy& policy) {
  if (!isWithinLimits(policy)) return nullptr;
  auto table = std::make_shared<AclTable>();
  table->other_ = policy.allowsRest;
  if (policy.allowsRest) table->protocols_.set();
  for (auto rule = policy.rules.rbegin(); rule != policy.rules.rend(); ++rule) {
    if (!rule->ports.empty()) continue;  // ports are TCP's and UDP's
    if (rule->protocol) {
      table->protocols_[*rule->protocol] = rule->allow;
      continue;
    }
    table->other_ = rule->allow;
    for (size_t each = 0; each < 256; each++) table->protocols_[each] = rule->allow;
  }
  table->tcp_ = verdictsOf(policy, protocolTcp);
  table->udp_ = verdictsOf(policy, protocolUdp);
  return table;
}

bool AclTable::allows(uint8_t protocol, uint16_t port) const {
  if (protocol == protocolTcp) return tcp_.allows(port);
  if (protocol == protocolUdp) return udp_.allows(port);
  return protocols_[protocol];
}

/// Between two turns of either table nothing changes.
bool AclTable::isStricterThan(const AclTable& before) const {
  const auto lost = [&](uint16_t port) { return before.tcp_.allows(port) && !tcp_.allows(port); };
  const auto lostAtTurn = [&](const PortVerdicts& of) {
    return std::any_of(of.turns.begin(), of.turns.end(), lost);
  };
  return lost(0) || lostAtTurn(tcp_) || lostAtTurn(before.tcp_);
}

}  // namespace weft
