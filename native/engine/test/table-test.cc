// Tables and queues: forwarding, waiting frames, labels, halves of frames, upcalls.
#include <map>
#include <thread>

#include "engine-limits.h"
#include "forward-table.h"
#include "fragments.h"
#include "frames.h"
#include "harness.h"
#include "label-table.h"
#include "mailbox.h"
#include "path-table.h"
#include "relay-limits.h"
#include "stranger-gate.h"
#include "upcall-ring.h"
#include "waiting-frames.h"
#include "wire.h"

namespace {

using namespace weft;
using namespace weft::test;

Mac macOf(uint32_t number) {
  Mac mac{2, 1};
  std::memcpy(&mac[2], &number, 4);
  return mac;
}

TapFrame frameOf(size_t bytes, uint8_t fill) {
  return {{}, std::vector<uint8_t>(bytes, fill)};
}

LabelRoute route(SessionId ingress, Label label) {
  LabelRoute made;
  made.ingress = ingress;
  made.label = label;
  made.to = LabelOut{99, label + 1};
  return made;
}

}  // namespace

TEST("forward table: equals a map with time-outs") {
  Random random(6);
  ForwardTable table;
  std::map<uint32_t, std::pair<uint32_t, uint64_t>> model;  // mac -> session, expiry
  uint64_t now = 1000;
  for (int step = 0; step < 100'000; step++) {
    now += random.below(3);
    const auto mac = static_cast<uint32_t>(random.below(50));
    switch (random.below(4)) {
      case 0: {
        const auto session = static_cast<uint32_t>(1 + random.below(5));
        const uint64_t ttl = random.below(100);
        CHECK(table.set(now, macOf(mac), {ForwardKind::session, session}, ttl));
        model[mac] = {session, now + ttl};
        break;
      }
      case 1:
        table.remove(macOf(mac));
        model.erase(mac);
        break;
      default: {
        const auto found = model.find(mac);
        const bool alive = found != model.end() && found->second.second > now;
        const ForwardTarget target = table.find(now, macOf(mac));
        CHECK_EQ(target.kind == ForwardKind::session, alive);
        if (alive) CHECK_EQ(target.session, found->second.first);
      }
    }
  }
  table.removeSession(3);
  for (uint32_t mac = 0; mac < 50; mac++) CHECK(table.find(now, macOf(mac)).session != 3);
}

TEST("forward table: full of living entries refuses, of dead ones makes room") {
  ForwardTable table;
  for (uint32_t i = 0; i < limits::forward; i++) {
    CHECK(table.set(0, macOf(i), {ForwardKind::local, 0}, i < 10 ? 50 : 1000));
  }
  CHECK(!table.set(10, macOf(limits::forward), {ForwardKind::local, 0}, 1000));
  CHECK(table.set(10, macOf(5), {ForwardKind::drop, 0}, 50));  // replacing needs no room
  CHECK(table.set(55, macOf(limits::forward), {ForwardKind::local, 0}, 1000));
  CHECK(table.find(56, macOf(limits::forward)).kind == ForwardKind::local);
  CHECK_EQ(table.size(), limits::forward - 8);
  CHECK(table.set(0, macOf(1), {ForwardKind::local, 0}, UINT64_MAX));
  CHECK(table.find(UINT64_MAX - 1, macOf(1)).kind == ForwardKind::local);
}

TEST("waiting frames: in order, bounded, announced once a second") {
  WaitingFrames waiting;
  for (uint8_t i = 0; i < limits::waitingFramesPerMac; i++) {
    const auto added = waiting.add(1000, macA, frameOf(60, i));
    CHECK(added.reason == DropReason::none);
    CHECK_EQ(added.announce, i == 0);
  }
  CHECK(waiting.add(1500, macA, frameOf(60, 0)).reason == DropReason::waitingFull);
  CHECK(waiting.add(2000, macA, frameOf(60, 0)).announce);
  CHECK(waiting.add(2000, macB, frameOf(60, 0)).announce);
  size_t expired = 0;
  const auto taken = waiting.take(2000, macA, expired);
  CHECK_EQ(taken.size(), limits::waitingFramesPerMac);
  for (uint8_t i = 0; i < taken.size(); i++) CHECK_EQ(taken[i].bytes[0], i);
  CHECK_EQ(expired, 0);
  CHECK(waiting.take(2000, macA, expired).empty());
  CHECK_EQ(waiting.bytes(), 60);
  CHECK_EQ(waiting.expire(4999), 0);
  CHECK_EQ(waiting.expire(5000), 1);
  CHECK(waiting.empty() && waiting.bytes() == 0);
}

TEST("waiting frames: bytes for one MAC, in all, and the number of MACs") {
  WaitingFrames waiting;
  for (int i = 0; i < 4; i++) {
    CHECK(waiting.add(0, macA, frameOf(65'536, 0)).reason == DropReason::none);
  }
  CHECK(waiting.add(0, macA, frameOf(60, 0)).reason == DropReason::waitingFull);
  for (uint32_t i = 1; i < 16; i++) {
    for (int frame = 0; frame < 4; frame++) waiting.add(0, macOf(i), frameOf(65'536, 0));
  }
  CHECK_EQ(waiting.bytes(), limits::waitingBytes);
  CHECK(waiting.add(0, macB, frameOf(60, 0)).reason == DropReason::waitingFull);
  CHECK(!waiting.add(0, macB, frameOf(60, 0)).announce);
  CHECK_EQ(waiting.expire(limits::waitingMs), 64);
  for (uint32_t i = 0; i < limits::waitingMacs; i++) waiting.add(0, macOf(i), frameOf(60, 0));
  CHECK(waiting.add(0, macB, frameOf(60, 0)).reason == DropReason::waitingFull);
}

TEST("label table: keyed by ingress and label, bounded both ways") {
  LabelTable labels;
  CHECK(labels.set(route(1, 0)) == DropReason::badField);
  CHECK(labels.set(route(1, 7)) == DropReason::none);
  CHECK(labels.set(route(2, 7)) == DropReason::none);
  CHECK_EQ(labels.find(7).size(), 2);
  CHECK(labels.find(8).empty());
  labels.remove(1, 7);
  CHECK_EQ(labels.find(7).size(), 1);
  CHECK_EQ(labels.find(7)[0].ingress, 2);
  for (SessionId i = 10; i < 10 + limits::sessionsPerLabel - 1; i++) {
    CHECK(labels.set(route(i, 7)) == DropReason::none);
  }
  CHECK(labels.set(route(50, 7)) == DropReason::tableFull);
  for (Label label = 100; label < 100 + limits::labelsPerSession; label++) {
    CHECK(labels.set(route(3, label)) == DropReason::none);
  }
  CHECK(labels.set(route(3, 9)) == DropReason::tableFull);
  CHECK(labels.find(9).empty());
  CHECK(labels.set(route(3, 100)) == DropReason::none);  // replacing needs no room
  labels.remove(3, 100);
  CHECK(labels.set(route(3, 9)) == DropReason::none);
  labels.removeSession(3);
  CHECK(labels.find(101).empty());
  CHECK(labels.set(route(3, 9)) == DropReason::none);
  labels.removeSession(99);  // where they lead to
  CHECK(labels.find(9).empty() && labels.find(7).empty());
}

TEST("relay limits: the sustained rate and one second of burst") {
  RelayLimits limits;
  RelayBuckets a;
  RelayBuckets b;
  limits.set({100'000, 0});
  uint64_t passed = 0;
  for (uint64_t now = 20'000; now < 30'000; now++) {
    if (limits.admit(now, a, b, 1'000) == DropReason::none) passed += 1'000;
  }
  CHECK(passed >= 1'000'000 && passed <= 1'101'000);
  limits.set({UINT64_MAX, UINT64_MAX});  // nothing overflows
  CHECK(limits.admit(40'000, a, b, 1ULL << 40) == DropReason::none);
  limits.set({0, 0});
  for (int i = 0; i < 100; i++) CHECK(limits.admit(0, a, b, 1ULL << 40) == DropReason::none);
}

TEST("relay limits: one member's share, each way, and all together") {
  RelayLimits limits;
  RelayBuckets a, b, c, d, e;
  limits.set({100'000, 300'000});
  const uint64_t now = 20'000;
  const auto pass = [&](RelayBuckets& from, RelayBuckets& to, uint64_t bytes) {
    return limits.admit(now, from, to, bytes);
  };
  CHECK(pass(a, b, 60'000) == DropReason::none);
  CHECK(pass(a, c, 60'000) == DropReason::relayMemberRate);  // what a sends, to anybody
  CHECK(pass(c, b, 60'000) == DropReason::relayMemberRate);  // what b receives, from anybody
  CHECK(pass(b, a, 100'000) == DropReason::none);            // the other way is its own
  CHECK(pass(c, d, 90'000) == DropReason::none);             // others lost nothing to the refusals
  CHECK(pass(d, c, 90'000) == DropReason::relayTotalRate);
  CHECK(pass(a, e, 40'000) == DropReason::none);
}

TEST("fragments: joined in either order, bounded, expired") {
  Random random(7);
  FragmentTable table;
  std::optional<JoinedFrame> joined;
  const auto body = [](uint32_t id, Bytes part) {
    std::vector<uint8_t> bytes(4);
    storeLe(bytes.data(), id);
    bytes.insert(bytes.end(), part.begin(), part.end());
    return bytes;
  };
  wire::Descriptor first, second;
  first.kind = second.kind = wire::Kind::fragment;
  second.index = 1;
  second.last = true;
  for (int round = 0; round < 100; round++) {
    const auto frame = random.bytes(100 + random.below(1400));
    const auto a = body(static_cast<uint32_t>(round), Bytes(frame).first(60));
    const auto b = body(static_cast<uint32_t>(round), Bytes(frame).subspan(60));
    const bool swapped = random.below(2) == 0;
    joined.reset();
    CHECK(table.add(0, swapped ? second : first, swapped ? b : a, joined) == DropReason::none);
    CHECK(!joined);
    CHECK(table.add(0, swapped ? first : second, swapped ? a : b, joined) == DropReason::none);
    CHECK(joined && joined->bytes == frame && joined->descriptor.kind == wire::Kind::frame);
  }
  CHECK_EQ(table.pending(), 0);
  joined.reset();
  const auto part = random.bytes(10);
  for (uint32_t id = 0; id < limits::fragmentsPending; id++) {
    CHECK(table.add(0, first, body(id, part), joined) == DropReason::none);
  }
  CHECK(table.add(0, first, body(3, part), joined) == DropReason::duplicateFragment);
  CHECK(table.add(0, first, body(99, part), joined) == DropReason::reassemblyFull);
  CHECK(table.add(0, second, body(0, part), joined) == DropReason::reassemblyFull);
  CHECK(!joined);  // the oldest had given way
  CHECK(table.add(limits::fragmentMs, second, body(5, part), joined) == DropReason::none);
  CHECK(!joined);
  CHECK_EQ(table.pending(), 1);
  wire::Descriptor odd = first;
  odd.index = 2;
  CHECK(table.add(0, odd, body(1, part), joined) == DropReason::badField);
  CHECK(table.add(0, first, Bytes(part).first(4), joined) == DropReason::badField);
  const auto huge = body(77, random.bytes(limits::frameBytes));
  table.add(0, first, huge, joined);
  CHECK(table.add(0, second, body(77, part), joined) == DropReason::tooBig);
}

TEST("upcall ring: bounded by number and bytes, doorbell once until the next drain") {
  int rings = 0;
  UpcallRing ring([](void* count) { ++*static_cast<int*>(count); }, &rings);
  size_t pushed = 0;
  while (ring.push(RekeyDueUpcall{1})) pushed++;
  CHECK_EQ(pushed, limits::upcalls);
  CHECK_EQ(rings, 1);
  std::vector<Upcall> out;
  ring.drain(out);
  CHECK_EQ(out.size(), limits::upcalls);
  CHECK(ring.push(FrameUpcall{std::vector<uint8_t>(limits::upcallBytes / 2)}));
  CHECK_EQ(rings, 2);
  CHECK(!ring.push(FrameUpcall{std::vector<uint8_t>(limits::upcallBytes / 2)}));
  CHECK(ring.isFull(limits::upcallBytes / 2));
  ring.drain(out);
  pushed = 0;
  while (ring.push(DatagramUpcall{0, {}, {1}})) pushed++;
  CHECK_EQ(pushed, limits::strangerUpcalls);
  CHECK(ring.push(RekeyDueUpcall{1}));  // room is left for sessions
  ring.drain(out);
  pushed = 0;
  while (ring.push(DatagramUpcall{0, {}, {1}, true})) pushed++;
  CHECK_EQ(pushed, limits::unprovenUpcalls);
  CHECK(ring.push(DatagramUpcall{0, {}, {1}}));  // and for those that show a cookie
}

TEST("strangers: first messages without a cookie have a rate, those that show one another") {
  StrangerGate gate({Mac1Key{}, false});
  const auto genuine = [](uint8_t type, uint8_t mac2) {
    std::vector<uint8_t> bytes(1'200, mac2);
    std::fill(bytes.begin(), bytes.begin() + 1'168, uint8_t{7});
    bytes[0] = type;
    const Mac1 mac1 = blake2bMac(Mac1Key{}, Bytes(bytes).first(1'168));
    std::copy(mac1.begin(), mac1.end(), bytes.begin() + 1'168);
    return bytes;
  };
  const auto first = genuine(wire::handshakeFirst, 0);
  size_t admitted = 0;
  for (int i = 0; i < 10'000; i++) {
    if (gate.judge(5'000, first).reason == DropReason::none) admitted++;
  }
  CHECK(admitted >= limits::unprovenPerSecond && admitted <= limits::unprovenPerSecond + 1);
  CHECK(gate.judge(5'000, first).reason == DropReason::rateLimited);
  const auto claiming = genuine(wire::handshakeFirst, 1);
  admitted = 0;
  for (int i = 0; i < 5'000; i++) {
    if (gate.judge(5'000, claiming).reason == DropReason::none) admitted++;
    CHECK(gate.judge(5'000, genuine(wire::handshakeFirst + 1, 0)).reason == DropReason::none);
  }
  CHECK(admitted >= limits::claimedPerSecond && admitted <= limits::claimedPerSecond + 1);
  CHECK(gate.judge(6'000, first).reason == DropReason::none);
}

TEST("upcall ring: four producers, one consumer, nothing lost or reordered") {
  UpcallRing ring(nullptr, nullptr);
  constexpr uint32_t each = 20'000;
  std::vector<std::thread> producers;
  for (uint32_t who = 1; who <= 4; who++) {
    producers.emplace_back([&ring, who] {
      for (uint32_t i = 0; i < each;) {
        if (ring.push(KeysConfirmedUpcall{who, i})) i++;
      }
    });
  }
  std::vector<Upcall> out;
  uint32_t next[5] = {};
  bool ordered = true;
  for (uint32_t got = 0; got < 4 * each;) {
    out.clear();
    ring.drain(out);
    for (const Upcall& upcall : out) {
      const auto& confirmed = *std::get_if<KeysConfirmedUpcall>(&upcall);
      ordered = ordered && next[confirmed.session]++ == confirmed.receive;
      got++;
    }
  }
  for (auto& producer : producers) producer.join();
  CHECK(ordered);
}

TEST("mailbox: copies what a command borrows and bounds what carries bytes") {
  Mailbox mailbox;
  CHECK(mailbox.wake().open());
  std::vector<uint8_t> bytes = {1, 2, 3};
  Control control;
  control.session = 5;
  control.bytes = bytes;
  CHECK(mailbox.post(Mail(Command(control), nullptr)) == DropReason::none);
  bytes = {9, 9, 9};
  CHECK(mailbox.pending());
  std::vector<Mail> mails;
  mailbox.take(mails);
  CHECK(!mailbox.pending());
  const auto* kept = std::get_if<Control>(&mails[0].command);
  CHECK(kept != nullptr && kept->bytes.size() == 3 && kept->bytes[0] == 1 && kept->bytes[2] == 3);
  const std::vector<uint8_t> big(1 << 20);
  control.bytes = big;
  for (int i = 0; i < 8; i++) {
    CHECK(mailbox.post(Mail(Command(control), nullptr)) == DropReason::none);
  }
  CHECK(mailbox.post(Mail(Command(control), nullptr)) == DropReason::sendQueueFull);
  CHECK(mailbox.post(Mail(Command(SessionOpen{1}), nullptr)) == DropReason::none);
}

TEST("path table: bounds, active path, recognising senders") {
  PathTable paths;
  Path path;
  path.path = limits::pathsPerSession;
  CHECK(!paths.set(path));
  path.path = 2;
  path.to = RelayTarget{4, 0};
  CHECK(!paths.set(path));
  path.to = RelayTarget{4, 9};
  CHECK(paths.set(path));
  CHECK(!paths.activate(3));
  CHECK(paths.activate(2) && paths.activeDirect() == nullptr);
  CHECK(paths.findRelay(4, 9) == PathIndex{2});
  CHECK(!paths.findRelay(4, 8) && !paths.findRelay(5, 9));
  path.path = 0;
  path.to = DirectTarget{1, {{127, 0, 0, 1}, Family::v4, 80}};
  CHECK(paths.set(path) && paths.activate(0) && paths.activeDirect() != nullptr);
  CHECK(paths.findDirect(1, {{127, 0, 0, 1}, Family::v4, 80}) == PathIndex{0});
  CHECK(!paths.findDirect(0, {{127, 0, 0, 1}, Family::v4, 80}));
  CHECK(!paths.findDirect(1, {{127, 0, 0, 1}, Family::v4, 81}));
  CHECK(paths.remove(0) && paths.active() == nullptr && !paths.remove(0));
}
