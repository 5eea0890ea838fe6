// Frames larger than their path: answers to the sender, and the MSS of TCP connections.
#include "bytes.h"
#include "checksum.h"
#include "engine-limits.h"
#include "frame-parse.h"
#include "harness.h"
#include "host.h"
#include "mss-clamp.h"
#include "superframe.h"
#include "too-big.h"

namespace {

using namespace weft;
using namespace weft::test;

constexpr uint16_t pathBytes = 1'200;
constexpr size_t frameRoom = pathBytes - wire::overheadBytes;
constexpr size_t innerMtu = frameRoom - etherHeaderBytes;

/// Both ends of a session whose path carries 1,200 bytes for good.
struct Pair {
  Host a, b;
  KeyPair keys = KeyPair::make(40);

  bool ok() { return a.ok() && b.ok(); }
  void connect() {
    join(a, b, keys, pathBytes);
    settle(a, b.endpoint());
    settle(b, a.endpoint());
  }
  static void settle(Host& host, const Endpoint& peer) {
    Path path = directPath(1, 0, peer, pathBytes);
    path.settled = true;
    host.apply({path});
  }
};

Frame datagram(size_t packetBytes, bool v6, bool mayFragment = false) {
  const Frame payload(packetBytes - (v6 ? 48 : 28), 7);
  Frame frame = udp(macB, macA, v6 ? ipv6(1) : ipOfA, v6 ? ipv6(2) : ipOfB, 5, 6, payload);
  if (mayFragment) {
    storeBe16(&frame[etherHeaderBytes + 6], 0);
    writeIpv4Checksum(&frame[etherHeaderBytes], ipv4HeaderBytes);
  }
  return frame;
}

/// A SYN with an MSS option behind `nothings` no-operations.
Frame syn(uint16_t mss, bool v6, size_t nothings = 0) {
  Frame frame = tcp(macB, macA, v6 ? ipv6(1) : ipOfA, v6 ? ipv6(2) : ipOfB,
                    {.flags = 0x02, .optionBytes = 8}, {});
  FrameView view;
  parseFrame(frame, view);
  uint8_t* option = &frame[view.layer4Offset + tcpHeaderBytes + nothings];
  option[0] = 2;
  option[1] = 4;
  storeBe16(option + 2, mss);
  uint8_t* field = &frame[view.layer4Offset + tcpChecksumOffset];
  storeBe16(field, pseudoHeaderSum(frame, view, view.end - view.layer4Offset));
  completeChecksum(frame, view.layer4Offset, tcpChecksumOffset, frame.size());
  return frame;
}

uint16_t mssOf(const Frame& frame, size_t nothings = 0) {
  FrameView view;
  parseFrame(frame, view);
  return loadBe16(&frame[view.layer4Offset + tcpHeaderBytes + nothings + 2]);
}

bool icmpIsRight(Bytes frame) {
  const uint64_t ip = checksumAdd(frame.subspan(etherHeaderBytes, ipv4HeaderBytes));
  const uint64_t icmp = checksumAdd(frame.subspan(etherHeaderBytes + ipv4HeaderBytes));
  return checksumFold(ip) == 0xffff && checksumFold(icmp) == 0xffff;
}

}  // namespace

TEST("too big: IPv4 with DF is answered from its destination, with the path's MTU") {
  Pair pair;
  CHECK(pair.ok());
  pair.connect();
  const Frame sent = datagram(innerMtu + 1, false);
  pair.a.inject(sent);
  const auto answer = pair.a.readTap();
  CHECK(answer.has_value());
  CHECK_EQ(answer->frame.size(), etherHeaderBytes + 576);
  CHECK(icmpIsRight(answer->frame));
  CHECK(macAt(&answer->frame[0]) == macA && macAt(&answer->frame[6]) == macB);
  CHECK(std::equal(&answer->frame[14 + 12], &answer->frame[14 + 16], &sent[14 + 16]));
  CHECK(std::equal(&answer->frame[14 + 16], &answer->frame[14 + 20], &sent[14 + 12]));
  CHECK_EQ(loadBe16(&answer->frame[34]), 0x0304);
  CHECK_EQ(loadBe16(&answer->frame[40]), innerMtu);
  CHECK(std::equal(sent.begin() + 14, sent.begin() + 14 + 548, answer->frame.begin() + 42));
  CHECK_EQ(pair.b.engine().counters().datagramsIn, 0UL);
  const Frame fits = datagram(innerMtu, false);
  pair.a.inject(fits);
  const auto got = pair.b.readTap();
  CHECK(got && got->frame == fits);
}

TEST("too big: IPv6 above 1,280 is answered, at 1,280 and below it travels as two") {
  Pair pair;
  CHECK(pair.ok());
  pair.connect();
  pair.b.apply({filterFor(1, macA, {ipOfA, ipv6(1)})});
  const Frame least = datagram(1'280, true);
  pair.a.inject(least);
  const auto whole = pair.b.readTap();
  CHECK(whole && whole->frame == least);
  const Frame sent = datagram(1'281, true);
  pair.a.inject(sent);
  const auto answer = pair.a.readTap();
  CHECK(answer.has_value());
  CHECK_EQ(answer->frame.size(), etherHeaderBytes + 1'280);
  CHECK(checksumsAreRight(answer->frame));
  CHECK_EQ(loadBe16(&answer->frame[54]), 0x0200);
  CHECK_EQ(loadBe32(&answer->frame[58]), 1'280U);
}

TEST("too big: without DF, and while the size is looked for, two halves go") {
  Pair pair;
  CHECK(pair.ok());
  pair.connect();
  const Frame plain = datagram(innerMtu + 100, false, true);
  pair.a.inject(plain);
  const auto got = pair.b.readTap();
  CHECK(got && got->frame == plain);
  pair.a.apply({directPath(1, 0, pair.b.endpoint(), pathBytes)});
  const Frame strict = datagram(innerMtu + 100, false);
  pair.a.inject(strict);
  const auto halves = pair.b.readTap();
  CHECK(halves && halves->frame == strict);
}

TEST("too big: a superframe is answered once, quoting its first segment") {
  Pair pair;
  CHECK(pair.ok());
  pair.connect();
  Frame frame = tcp(macB, macA, ipOfA, ipOfB, {.sequence = 77, .flags = 0x18}, Frame(20'000, 3));
  VnetHeader vnet;
  vnet.flags = VnetHeader::needsChecksum;
  vnet.gsoType = VnetHeader::gsoTcp4;
  vnet.segmentBytes = 1'338;
  vnet.checksumStart = 34;
  vnet.checksumOffset = tcpChecksumOffset;
  pair.a.inject(frame, vnet);
  const auto answer = pair.a.readTap();
  CHECK(answer.has_value());
  CHECK(icmpIsRight(answer->frame));
  CHECK_EQ(loadBe16(&answer->frame[40]), innerMtu);
  CHECK_EQ(loadBe16(&answer->frame[42 + 2]), 1'338 + 52);
  CHECK_EQ(loadBe32(&answer->frame[42 + 20 + 4]), 77U);
  CHECK(!pair.a.readTap(50));
}

TEST("too big: errors, later fragments and groups are never answered") {
  FrameView view;
  Frame error = packet(macB, macA, ipOfA, ipOfB, protocolIcmp, Frame{3, 4, 0, 0, 0, 0, 0, 0});
  CHECK(parseFrame(error, view) == DropReason::none && !mayBeAnswered(error, view));
  Frame echo = packet(macB, macA, ipOfA, ipOfB, protocolIcmp, Frame{8, 0, 0, 0, 0, 0, 0, 0});
  CHECK(parseFrame(echo, view) == DropReason::none && mayBeAnswered(echo, view));
  const Frame error6 = icmpv6(macB, macA, ipv6(1), ipv6(2), 1, Frame(20, 0));
  CHECK(parseFrame(error6, view) == DropReason::none && !mayBeAnswered(error6, view));
  Frame group = udp(macB, macA, ipOfA, ipv4(239, 1, 1, 1), 5, 6, Frame(8, 0));
  CHECK(parseFrame(group, view) == DropReason::none && !mayBeAnswered(group, view));
  Frame later = datagram(100, false);
  storeBe16(&later[etherHeaderBytes + 6], 0x4010);
  CHECK(parseFrame(later, view) == DropReason::none && !mayBeAnswered(later, view));
}

TEST("too big: answers to one session are bounded each second") {
  Pair pair;
  CHECK(pair.ok());
  pair.connect();
  const Frame sent = datagram(innerMtu + 1, false);
  const size_t frames = 4 * limits::tooBigAnswersPerSecond;
  for (size_t i = 0; i < frames; i++) pair.a.inject(sent);
  CHECK(pair.a.awaitDrops(DropReason::tooBig, frames));
  size_t answers = 0;
  while (pair.a.readTap(50)) answers++;
  // the frames may have come in two different seconds, on a slow machine in more
  CHECK(answers >= limits::tooBigAnswersPerSecond && answers < frames);
}

TEST("mss: SYN and SYN-ACK are clamped on the way out and on the way in") {
  for (const bool v6 : {false, true}) {
    Pair pair;
    CHECK(pair.ok());
    join(pair.a, pair.b, pair.keys, 1'400);
    pair.b.apply({filterFor(1, macA, {ipOfA, ipv6(1)})});
    pair.a.inject(syn(9'000, v6));
    const auto searching = pair.b.readTap();
    const size_t inHalves = 2 * (1'400 - wire::overheadBytes - wire::fragmentIdBytes);
    CHECK(searching && mssOf(searching->frame) == inHalves - etherHeaderBytes - (v6 ? 60 : 40));
    Pair::settle(pair.b, pair.a.endpoint());
    pair.a.inject(syn(9'000, v6));
    const auto in = pair.b.readTap();
    CHECK(in && mssOf(in->frame) == innerMtu - (v6 ? 60 : 40));
    CHECK(in && checksumsAreRight(in->frame));
    Pair::settle(pair.a, pair.b.endpoint());
    pair.b.apply({directPath(1, 0, pair.a.endpoint(), 1'400)});
    pair.a.inject(syn(9'000, v6));
    const auto out = pair.b.readTap();
    CHECK(out && mssOf(out->frame) == innerMtu - (v6 ? 60 : 40));
    CHECK(out && checksumsAreRight(out->frame));
  }
}

TEST("mss: odd places, small values, partial checksums and broken options") {
  for (size_t nothings = 0; nothings < 5; nothings++) {
    for (uint16_t mss = 1'000; mss < 9'000; mss += 333) {
      Frame frame = syn(mss, false, nothings);
      FrameView view;
      parseFrame(frame, view);
      const Frame before = frame;
      const bool changed = clampMss(frame, view, {frameRoom, false});
      CHECK_EQ(changed, mss > innerMtu - 40);
      CHECK_EQ(mssOf(frame, nothings), std::min<size_t>(mss, innerMtu - 40));
      CHECK(checksumsAreRight(frame));
      Frame partial = before;
      clampMss(partial, view, {frameRoom, true});
      const size_t field = view.layer4Offset + tcpChecksumOffset;
      CHECK_EQ(loadBe16(&partial[field]), loadBe16(&before[field]));
    }
  }
  Random random(41);
  for (int round = 0; round < 100'000; round++) {
    Frame frame = syn(9'000, round % 2 == 0);
    for (uint64_t i = random.below(6); i > 0; i--) {
      frame[34 + random.below(frame.size() - 34)] = random.byte();
    }
    frame.erase(frame.end() - static_cast<long>(random.below(3)), frame.end());
    frame.shrink_to_fit();  // so that the sanitizer sees one byte too many
    FrameView view;
    if (parseFrame(frame, view) == DropReason::none) clampMss(frame, view, {frameRoom, false});
  }
}
