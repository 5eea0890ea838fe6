// The ACL: rules against a walk over them, the whole against its model, the flow table between two
// threads.
#include <atomic>
#include <map>
#include <string>
#include <thread>

#include "acl-gate.h"
#include "acl-model.h"
#include "harness.h"
#include "host.h"

namespace {

using namespace weft;
using namespace weft::test;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int packets = 100'000;
#else
constexpr int packets = 1'000'000;
#endif

constexpr uint16_t someEnds[] = {0, 1, 22, 63, 64, 80, 127, 128, 443, 1023, 32768, 65534, 65535};

uint16_t somePort(Random& random) {
  if (random.below(2) == 0) return someEnds[random.below(std::size(someEnds))];
  return static_cast<uint16_t>(random.below(65'536));
}

AclPolicy randomPolicy(Random& random, size_t most) {
  AclPolicy policy;
  policy.allowsRest = random.below(3) == 0;
  const size_t count = random.below(most + 1);
  for (size_t i = 0; i < count; i++) {
    AclRule rule;
    rule.allow = random.below(2) == 0;
    constexpr uint8_t protocols[] = {6, 6, 6, 17, 17, 1, 47};
    if (random.below(8) != 0) rule.protocol = protocols[random.below(std::size(protocols))];
    const bool ported = rule.protocol == protocolTcp || rule.protocol == protocolUdp;
    for (size_t j = ported ? random.below(4) : 0; j > 0; j--) {
      const uint16_t one = somePort(random);
      const uint16_t other = random.below(2) == 0 ? one : somePort(random);
      rule.ports.push_back({std::min(one, other), std::max(one, other)});
    }
    policy.rules.push_back(rule);
  }
  return policy;
}

bool walk(const AclPolicy& policy, uint8_t protocol, uint16_t port) {
  for (const AclRule& rule : policy.rules) {
    if (rule.protocol && *rule.protocol != protocol) continue;
    bool matches = rule.ports.empty();
    for (const AclPorts& range : rule.ports) {
      matches = matches || (range.first <= port && port <= range.last);
    }
    if (matches) return rule.allow;
  }
  return policy.allowsRest;
}

/// Few machines, ports and numbers, so that packets meet.
Meant randomPacket(Random& random, bool ours, bool quoted = false) {
  Meant packet;
  const auto kind = quoted ? 99 : random.below(100);
  if (kind == 0) packet.what = Meant::What::arp;
  if (kind == 1) packet.what = Meant::What::noIp;
  if (kind == 2) packet.what = Meant::What::neighbour;
  packet.ipv6 = random.below(2) == 0;
  if (kind == 3 && packet.ipv6) packet.what = Meant::What::unknownHeader;
  const auto here = static_cast<uint8_t>(random.below(3));
  const auto there = static_cast<uint8_t>(100 + random.below(3));
  packet.source = ours ? here : there;
  packet.target = ours ? there : here;
  const uint8_t icmp = packet.ipv6 ? 58 : 1;
  const uint8_t protocols[] = {6, 6, 6, 17, 17, icmp, icmp, 47};
  packet.protocol = protocols[random.below(std::size(protocols))];
  constexpr uint16_t ports[] = {22, 80, 443, 1023, 40'000, 50'000};
  packet.sourcePort = ports[random.below(std::size(ports))];
  packet.targetPort = ports[random.below(std::size(ports))];
  if (packet.protocol != 6 && packet.protocol != 17) packet.sourcePort = packet.targetPort = 0;
  constexpr uint8_t flags[] = {2, 18, 16, 16, 16, 24, 17, 4, 20};
  packet.flags = flags[random.below(std::size(flags))];
  constexpr uint8_t types4[] = {8, 8, 0, 0, 3, 11, 12, 13};
  constexpr uint8_t types6[] = {128, 128, 129, 129, 1, 2, 4, 100};
  packet.icmpType = packet.ipv6 ? types6[random.below(8)] : types4[random.below(8)];
  packet.echoId = static_cast<uint16_t>(random.below(4));
  if (packet.ipv6 && random.below(3) == 0) {
    constexpr uint8_t headers[] = {0, 43, 60, 51};
    for (auto i = random.below(4); i > 0; i--) {
      packet.extensions.push_back(headers[random.below(4)]);
    }
  }
  if (packet.what == Meant::What::ip && random.below(5) == 0) {
    packet.part = random.below(2) == 0 ? Meant::Part::first : Meant::Part::later;
    packet.id = static_cast<uint16_t>(random.below(20));
  }
  if (packet.protocol == icmp && !quoted && random.below(5) != 0) {
    packet.quoted.push_back(randomPacket(random, !ours, true));
    packet.quoted[0].ipv6 = packet.ipv6;
    if (!packet.ipv6) packet.quoted[0].extensions.clear();
    if (packet.quoted[0].protocol == 1 || packet.quoted[0].protocol == 58) {
      packet.quoted[0].protocol = icmp;
      packet.quoted[0].icmpType = packet.ipv6 ? types6[random.below(8)] : types4[random.below(8)];
    }
    packet.quotedBytes = random.below(4) == 0 ? 24 + random.below(60) : 200;
  }
  return packet;
}

/// What the peer may well send after it got this packet of ours.
Meant answerTo(Random& random, const Meant& ours) {
  Meant answer = ours;
  std::swap(answer.source, answer.target);
  std::swap(answer.sourcePort, answer.targetPort);
  constexpr uint8_t flags[] = {18, 16, 16, 17, 4, 2};
  answer.flags = flags[random.below(std::size(flags))];
  const bool icmp = ours.protocol == 1 || ours.protocol == 58;
  if (icmp || random.below(5) == 0) {
    answer.protocol = ours.ipv6 ? 58 : 1;
    answer.icmpType = ours.ipv6 ? 129 : 0;
    answer.quoted.clear();
    if (random.below(2) == 0 || !icmp) {
      answer.icmpType = ours.ipv6 ? 2 : 3;
      answer.quoted = {ours};
      answer.quotedBytes = 200;
    }
  }
  return answer;
}

/// Random ones, answers to what was sent lately, and the rest of a packet that came in part.
class Traffic {
 public:
  explicit Traffic(uint64_t seed) : random_(seed) {}
  Random& random() { return random_; }
  Meant next(bool ours) {
    Meant packet = randomPacket(random_, ours);
    if (!ours && !sent_.empty() && random_.below(3) == 0) {
      packet = answerTo(random_, sent_[random_.below(sent_.size())]);
    }
    if (!ours && first_ && random_.below(6) == 0) {
      packet = *first_;
      packet.part = Meant::Part::later;
    }
    if (!ours && packet.part == Meant::Part::first) first_ = packet;
    if (ours && packet.what == Meant::What::ip) sent_.push_back(packet);
    if (sent_.size() > 8) sent_.erase(sent_.begin());
    return packet;
  }

 private:
  Random random_;
  std::vector<Meant> sent_;
  std::optional<Meant> first_;
};

std::string tell(const Meant& packet) {
  std::string text = "what " + std::to_string(static_cast<int>(packet.what));
  text += packet.ipv6 ? " v6 " : " v4 ";
  text += std::to_string(packet.source) + ":" + std::to_string(packet.sourcePort) + ">" +
          std::to_string(packet.target) + ":" + std::to_string(packet.targetPort) + " protocol " +
          std::to_string(packet.protocol) + " flags " + std::to_string(packet.flags) + " type " +
          std::to_string(packet.icmpType) + " echo " + std::to_string(packet.echoId) + " part " +
          std::to_string(static_cast<int>(packet.part)) + " id " + std::to_string(packet.id);
  for (const uint8_t header : packet.extensions) text += " +" + std::to_string(header);
  for (const Meant& inner : packet.quoted) {
    text += " quotes " + std::to_string(packet.quotedBytes) + " of (" + tell(inner) + ")";
  }
  return text;
}

std::string kindOf(const Meant& packet, bool passed, bool ruled) {
  std::string kind = passed ? "passed" : "dropped";
  if (packet.part == Meant::Part::whole && packet.what == Meant::What::ip) {
    kind += ruled ? " ruled" : " unruled";
  }
  kind += " part " + std::to_string(static_cast<int>(packet.part));
  if (!packet.extensions.empty()) kind += " extended";
  if (!packet.quoted.empty()) kind += " quoting";
  return kind;
}

uint64_t stepMs(Random& random) {
  switch (random.below(1'000)) {
    case 0: return random.below(10'000'000);
    case 1:
    case 2: return random.below(400'000);
    default: return random.below(1'500);
  }
}

}  // namespace

TEST("siphash: the paper's vectors") {
  const SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  const uint64_t words[] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  CHECK(siphash(key, {}) == 0x726fdb47dd0e0e31);
  CHECK(siphash(key, {words, 1}) == 0x93f5f5799a932462);
  CHECK(siphash(key, words) == 0x3f2acc7f57c29bdb);
}

TEST("acl table: equals a walk over the rules") {
  Random random(31);
  for (int i = 0; i < 2'000; i++) {
    const AclPolicy policy = randomPolicy(random, i % 50 == 0 ? limits::aclRules : 8);
    const auto table = AclTable::make(policy);
    CHECK(table != nullptr);
    for (int j = 0; j < 100; j++) {
      constexpr uint8_t protocols[] = {6, 17, 1, 47, 0, 255};
      const uint8_t protocol = protocols[random.below(std::size(protocols))];
      const bool ported = protocol == protocolTcp || protocol == protocolUdp;
      const uint16_t port = ported ? somePort(random) : 0;
      // Rules with ports are TCP's and UDP's.
      AclPolicy seen = policy;
      const auto hasPorts = [](const AclRule& rule) { return !rule.ports.empty(); };
      if (!ported) std::erase_if(seen.rules, hasPorts);
      CHECK_EQ(table->allows(protocol, port), walk(seen, protocol, port));
    }
  }
}

TEST("acl table: refuses what passes its bounds") {
  AclPolicy policy;
  policy.rules.resize(limits::aclRules);
  CHECK(AclTable::make(policy) != nullptr);
  policy.rules.resize(limits::aclRules + 1);
  CHECK(AclTable::make(policy) == nullptr);
  policy.rules.resize(1);
  policy.rules[0].ports.resize(limits::aclPortsPerRule + 1);
  CHECK(AclTable::make(policy) == nullptr);
}

TEST("acl: equals the model over 1,000,000 packets") {
  Traffic traffic(5);
  Random& random = traffic.random();
  const auto flows = std::make_shared<AclFlows>();
  AclPolicy policy = randomPolicy(random, 6);
  uint64_t nowMs = 5'000;
  AclModel model(nowMs, policy);
  auto table = AclTable::make(policy);
  AclGate gate(table, flows);
  auto watch = std::make_unique<AclWatch>(table, flows, nowMs + limits::aclTakeUpMs);
  std::map<std::string, int> counts;
  for (int i = 0; i < packets; i++) {
    nowMs += stepMs(random);
    if (random.below(5'000) == 0) {
      policy = randomPolicy(random, 6);
      table = AclTable::make(policy);
      model.setPolicy(policy);
      gate.setTable(table);
      watch->setTable(table);
    }
    if (random.below(2'000) == 0) {
      watch = std::make_unique<AclWatch>(table, flows, nowMs + limits::aclTakeUpMs);
      model.openSession(nowMs);
    }
    const bool ours = random.below(2) == 0;
    const Meant packet = traffic.next(ours);
    const Frame frame = bytesOf(packet);
    FrameView view;
    CHECK_EQ(parseFrame(frame, view), DropReason::none);
    if (ours) {
      model.sent(nowMs, packet);
      watch->sent(nowMs, frame, view);
      continue;
    }
    const bool expected = model.passes(nowMs, packet);
    const bool passed = gate.judge(nowMs, frame, view) == DropReason::none;
    if (passed != expected) {
      report(__FILE__, __LINE__,
             std::to_string(i) + (passed ? " passed: " : " dropped: ") + tell(packet));
      return;
    }
    const bool ruled = table->allows(readAclPacket(frame, view).protocol, packet.targetPort);
    counts[kindOf(packet, passed, ruled)]++;
  }
  // Every kind was met both ways, else the comparison says little.
  CHECK_EQ(counts.size(), 36);
  for (const auto& [kind, count] : counts) CHECK(count > packets / 20'000);
}

TEST("acl: reads nothing outside of frames that were cut and bent") {
  Traffic traffic(12);
  Random& random = traffic.random();
  const auto flows = std::make_shared<AclFlows>();
  AclGate gate(AclTable::make(AclPolicy{}), flows);
  AclWatch watch(AclTable::make(AclPolicy{}), flows, 2'000);
  int judged = 0;
  for (int i = 0; i < packets / 10; i++) {
    const Frame whole = bytesOf(traffic.next(i % 2 == 0));
    // A vector of its very length: what is read behind it, the sanitizer sees.
    const size_t lost = random.below(2) == 0 ? 0 : random.below(whole.size() + 1);
    Frame frame(whole.begin(), whole.end() - static_cast<long>(lost));
    for (auto bent = random.below(4); bent > 0 && !frame.empty(); bent--) {
      frame[random.below(frame.size())] = random.byte();
    }
    (void)readQuoted(frame);
    FrameView view;
    if (parseFrame(frame, view) != DropReason::none) continue;
    watch.sent(1'000, frame, view);
    (void)gate.judge(1'000, frame, view);
    judged++;
  }
  CHECK(judged > packets / 100);
}

TEST("acl flows: full sets give up what would end first, and nothing grows") {
  AclFlows flows;
  AclPacket udp;
  udp.kind = AclPacket::Kind::transport;
  udp.protocol = protocolUdp;
  AclPacket tcp = udp;
  tcp.protocol = protocolTcp;
  tcp.tcpFlags = tcpAck;
  for (uint64_t i = 1; i <= 1'000; i++) flows.sent(1'000, i * 0x9e3779b97f4a7c15, tcp, true);
  for (uint64_t i = 1; i <= 10 * limits::aclFlows; i++) {
    flows.sent(2'000, i * 0xff51afd7ed558ccd, udp, false);
  }
  for (uint64_t i = 1; i <= 1'000; i++) CHECK(flows.has(2'000, i * 0x9e3779b97f4a7c15));
  size_t alive = 0;
  for (uint64_t i = 1; i <= 10 * limits::aclFlows; i++) {
    if (flows.has(2'000, i * 0xff51afd7ed558ccd)) alive++;
  }
  CHECK(alive <= limits::aclFlows && alive > limits::aclFlows / 2);
}

/// What our side sends under rules, and whether the answer to it passes.
class Talk {
 public:
  Talk(const AclPolicy& policy, uint64_t takeUpEndsMs)
      : watch_(AclTable::make(policy), flows_, takeUpEndsMs),
        gate_(AclTable::make(policy), flows_) {}
  void setPolicy(const AclPolicy& policy) {
    watch_.setTable(AclTable::make(policy));
    gate_.setTable(AclTable::make(policy));
  }
  void say(uint64_t nowMs, uint16_t ourPort, uint8_t flags) {
    const Meant packet = tcp(flags, true, ourPort);
    const Frame frame = bytesOf(packet);
    FrameView view;
    CHECK_EQ(parseFrame(frame, view), DropReason::none);
    watch_.sent(nowMs, frame, view);
  }
  bool hears(uint64_t nowMs, uint16_t ourPort) {
    const Frame frame = bytesOf(tcp(tcpAck, false, ourPort));
    FrameView view;
    if (parseFrame(frame, view) != DropReason::none) return false;
    return gate_.judge(nowMs, frame, view) == DropReason::none;
  }
  bool says(uint64_t nowMs, uint16_t ourPort, uint8_t flags) {
    say(nowMs, ourPort, flags);
    return hears(nowMs, ourPort);
  }

 private:
  static Meant tcp(uint8_t flags, bool ours, uint16_t ourPort) {
    Meant packet;
    packet.protocol = protocolTcp;
    packet.flags = flags;
    packet.source = ours ? 1 : 101;
    packet.target = ours ? 101 : 1;
    packet.sourcePort = ours ? ourPort : 9'000;
    packet.targetPort = ours ? 9'000 : ourPort;
    return packet;
  }

  std::shared_ptr<AclFlows> flows_ = std::make_shared<AclFlows>();
  AclWatch watch_;
  AclGate gate_;
};

AclPolicy allowing(std::vector<AclPorts> ports) {
  AclPolicy policy;
  policy.rules.push_back({true, protocolTcp, std::move(ports)});
  return policy;
}

TEST("acl flows: TCP begins with a SYN; in the middle it is taken up for a while only") {
  Talk talk(AclPolicy{}, 125'000);
  CHECK(talk.says(5'000, 40'001, tcpAck));
  CHECK(!talk.says(5'000, 40'002, tcpSyn | tcpAck));
  CHECK(!talk.says(5'000, 40'003, tcpRst));
  // a port that was asked for is a server's, whose connections they began
  CHECK(!talk.says(5'000, 32'767, tcpAck));
  CHECK(talk.says(124'999, 32'768, tcpAck));
  CHECK(talk.says(124'999, 40'005, tcpFin | tcpAck));
  CHECK(!talk.says(125'000, 40'006, tcpAck));
  CHECK(!talk.says(125'000, 40'007, tcpFin | tcpAck));
  CHECK(!talk.says(125'000, 40'008, tcpSyn | tcpAck));
  CHECK(talk.says(125'000, 22, tcpSyn));
  // what was taken up goes on
  CHECK(talk.says(125'000, 40'001, tcpAck));
}

TEST("acl flows: stricter rules end what they began, and nothing that we began") {
  Talk talk(allowing({{40'000, 50'000}}), 125'000);
  CHECK(talk.says(5'000, 40'001, tcpSyn | tcpAck));
  CHECK(talk.says(5'000, 40'002, tcpSyn));
  CHECK(talk.says(5'010, 40'002, tcpAck));
  CHECK(talk.says(5'010, 30'000, tcpSyn));
  // more is allowed than before: taking up goes on
  talk.setPolicy(allowing({{40'000, 50'001}}));
  CHECK(talk.says(6'000, 60'000, tcpAck));
  talk.setPolicy(allowing({{40'003, 50'001}}));
  CHECK(!talk.says(7'000, 40'001, tcpAck));
  CHECK(!talk.says(7'000, 60'001, tcpAck));
  CHECK(talk.says(7'000, 60'000, tcpAck));
  CHECK(talk.says(7'000, 30'000, tcpAck));
  // idle for longer than a connection that is still being made may be
  CHECK(talk.says(7'000 + 1'000 * limits::aclTcpTransitorySeconds, 40'002, tcpAck));
}

TEST("acl table: is stricter where one TCP port is lost") {
  Random random(41);
  for (int i = 0; i < 300; i++) {
    const AclPolicy one = randomPolicy(random, 4), other = randomPolicy(random, 4);
    bool lost = false;
    for (uint32_t port = 0; port < 65'536; port++) {
      const auto number = static_cast<uint16_t>(port);
      lost = lost || (walk(one, protocolTcp, number) && !walk(other, protocolTcp, number));
    }
    CHECK_EQ(AclTable::make(other)->isStricterThan(*AclTable::make(one)), lost);
  }
}

TEST("acl flows: one thread adds while the other looks up") {
  AclFlows flows;
  std::atomic<bool> done{false};
  std::thread rx([&] {
    AclPacket answer;
    answer.protocol = protocolTcp;
    answer.tcpFlags = tcpAck;
    Random random(8);
    while (!done.load()) flows.received(1'000 + random.below(9'000), random.below(4'096), answer);
  });
  AclPacket packet;
  packet.protocol = protocolTcp;
  Random random(9);
  for (int i = 0; i < 200'000; i++) {
    packet.tcpFlags = random.below(2) == 0 ? tcpSyn : tcpAck;
    const uint64_t name = random.below(200'000);
    flows.sent(1'000 + random.below(9'000), name, packet, true);
    if (!flows.has(1'000, name)) {
      report(__FILE__, __LINE__, "a flow was lost at once");
      break;
    }
  }
  done.store(true);
  rx.join();
}

TEST("acl: only answers and what a rule allows come through an engine") {
  Host a, b;
  const KeyPair keys = KeyPair::make(77);
  join(a, b, keys);
  AclPolicy policy;
  policy.rules.push_back({true, protocolTcp, {{80, 80}}});
  b.apply({Acl{1, policy, nullptr, nullptr}});
  const std::vector<uint8_t> text(40, 'x');
  a.inject(udp(macB, macA, ipOfA, ipOfB, 53, 9, text));
  CHECK(b.awaitDrops(DropReason::acl, 1));
  // Our side asks, and then the same packet is an answer.
  b.inject(udp(macA, macB, ipOfB, ipOfA, 9, 53, text));
  CHECK(a.readTap().has_value());
  const Frame answer = udp(macB, macA, ipOfA, ipOfB, 53, 9, text);
  a.inject(answer);
  const auto got = b.readTap();
  CHECK(got && got->frame == answer);
  b.apply({Acl{1, std::nullopt, nullptr, nullptr}});
  const Frame other = udp(macB, macA, ipOfA, ipOfB, 54, 9, text);
  a.inject(other);
  const auto free = b.readTap();
  CHECK(free && free->frame == other);
  b.apply({Acl{9, policy, nullptr, nullptr}});
  CHECK(b.awaitDrops(DropReason::badField, 1));
}
