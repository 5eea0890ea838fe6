// Whole engines over loopback: frames, control messages, keys, filters, misses.
#include "bytes.h"
#include "checksum.h"
#include "frame-parse.h"
#include "harness.h"
#include "host.h"
#include "superframe.h"
#include "wire.h"

namespace {

using namespace weft;
using namespace weft::test;

Control controlTo(SessionId session, Bytes bytes) {
  Control control;
  control.session = session;
  control.bytes = bytes;
  return control;
}

/// One sealed frame of A for B, caught on the wire.
std::optional<std::vector<uint8_t>> caughtDatagram(Host& a, Wire& wire, Bytes payload) {
  a.inject(frameAB(payload));
  return wire.receive();
}

}  // namespace

TEST("engine: frames of every size cross both ways unchanged, with both ciphers") {
  for (const Cipher cipher : {Cipher::aes256gcm, Cipher::chacha20poly1305}) {
    Host a, b;
    CHECK(a.ok() && b.ok());
    join(a, b, KeyPair::make(1, cipher));
    Random random(13);
    for (int i = 0; i < 200; i++) {
      const Frame forth = frameAB(random.bytes(random.below(1420)));
      a.inject(forth);
      const auto atB = b.readTap();
      CHECK(atB && atB->frame == forth && atB->vnet.flags == 0);
      const Frame back = frameBA(random.bytes(random.below(1420)));
      b.inject(back);
      const auto atA = a.readTap();
      CHECK(atA && atA->frame == back);
    }
  }
}

TEST("engine: a frame larger than its path travels as two, also partial and over 9 KiB") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(2), 1200);
  Random random(14);
  for (const size_t size : {1100UL, 1123UL, 1124UL, 1300UL, 2000UL}) {
    const Frame frame = frameAB(random.bytes(size));
    a.inject(frame);
    const auto got = b.readTap();
    CHECK(got && got->frame == frame);
  }
  a.inject(frameAB(random.bytes(2400)));
  CHECK(a.awaitDrops(DropReason::tooBig, 1));
}

TEST("engine: superframes arrive as the kernel of A sent them") {
  for (const bool superframes : {true, false}) {
    Host a;
    Host b(HostOptions{.vnetHeader = true, .superframes = superframes, .offloads = {}});
    CHECK(a.ok() && b.ok());
    join(a, b, KeyPair::make(3));
    Random random(15);
    for (int round = 0; round < 60; round++) {
      const bool v6 = round % 2 == 0;
      const auto payload = random.bytes(1 + random.below(60'000));
      Frame frame = tcp(macB, macA, v6 ? ipv6(1) : ipOfA, v6 ? ipv6(2) : ipOfB,
                        {.sequence = static_cast<uint32_t>(random.next()), .flags = 0x18}, payload);
      FrameView view;
      CHECK(parseFrame(frame, view) == DropReason::none);
      storeBe16(&frame[view.layer4Offset + 16],
                pseudoHeaderSum(frame, view, view.end - view.layer4Offset));
      VnetHeader vnet;
      vnet.flags = VnetHeader::needsChecksum;
      vnet.gsoType = v6 ? VnetHeader::gsoTcp6 : VnetHeader::gsoTcp4;
      vnet.segmentBytes = 1300;
      vnet.headerBytes = 1;  // nobody may trust it
      vnet.checksumStart = view.layer4Offset;
      vnet.checksumOffset = 16;
      a.inject(frame, vnet);
      const size_t headers = frame.size() - payload.size();
      Frame received;
      size_t reads = 0;
      while (received.size() < payload.size()) {
        auto got = b.readTap();
        CHECK(got.has_value());
        reads++;
        FrameView gotView;
        CHECK(parseFrame(got->frame, gotView) == DropReason::none);
        CHECK(got->vnet.flags == VnetHeader::needsChecksum);
        CHECK_EQ(got->vnet.checksumStart, gotView.layer4Offset);
        CHECK(completeChecksum(got->frame, got->vnet.checksumStart, got->vnet.checksumOffset,
                               got->frame.size()));
        CHECK(checksumsAreRight(got->frame));
        if (got->frame.size() > headers + 1300) CHECK_EQ(got->vnet.segmentBytes, 1300);
        received.insert(received.end(), got->frame.begin() + static_cast<long>(headers),
                        got->frame.end());
      }
      CHECK(received == payload);
      if (!superframes) CHECK_EQ(reads, (payload.size() + 1299) / 1300);
    }
  }
}

TEST("engine: partial checksums are completed for a TAP without virtio header") {
  Host a;
  Host b(HostOptions{.vnetHeader = false, .superframes = false, .offloads = {}});
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(4));
  const Frame whole = frameAB(Random(16).bytes(333));
  Frame partial = whole;
  FrameView view;
  CHECK(parseFrame(partial, view) == DropReason::none);
  storeBe16(&partial[view.layer4Offset + 6],
            pseudoHeaderSum(partial, view, view.end - view.layer4Offset));
  a.inject(partial, {VnetHeader::needsChecksum, 0, 0, 0, view.layer4Offset, 6});
  const auto got = b.readTap();
  CHECK(got && got->frame == whole);
}

TEST("engine: works with every offload off") {
  HostOptions off;
  off.superframes = false;
  off.offloads = {false, false, false};
  Host a(off), b(off);
  CHECK(a.ok() && b.ok());
  CHECK(!a.engine().offloads().udpGro && !a.engine().offloads().udpSegment);
  join(a, b, KeyPair::make(5));
  for (uint8_t i = 0; i < 100; i++) a.inject(frameAB(Frame(100, i)));
  for (uint8_t i = 0; i < 100; i++) {
    const auto got = b.readTap();
    CHECK(got && got->frame == frameAB(Frame(100, i)));
  }
}

TEST("engine: control messages, in order behind the commands of their batch") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  const KeyPair keys = KeyPair::make(6);
  const std::vector<uint8_t> hello = {1, 2, 3};
  b.apply({SessionOpen{8}, keys.forSecond(8, KeyUse::confirmed),
           directPath(8, 3, a.endpoint()), PathActive{8, 3}});
  a.apply({SessionOpen{7}, keys.forFirst(7, KeyUse::now), directPath(7, 0, b.endpoint()),
           PathActive{7, 0}, controlTo(7, hello)});
  const auto confirmed = b.await<KeysConfirmedUpcall>();
  CHECK(confirmed && confirmed->session == 8 && confirmed->receive == keys.thereReceive);
  const auto got = b.await<ControlUpcall>();
  CHECK(got && got->bytes == hello && got->session == 8);
  CHECK(got->path == PathIndex{3} && got->from == a.endpoint());
  CHECK_EQ(got->datagramBytes, wire::overheadBytes + 3);
  // The responder may answer only now.
  b.apply({controlTo(8, hello)});
  CHECK(a.await<ControlUpcall>());
  // Padding: by the nibble, by length and zeros, and the exact size on the wire.
  for (const uint16_t padTo : {20, 40, 41, 54, 55, 56, 57, 1200, 1472, 9000}) {
    Control probe = controlTo(7, hello);
    probe.padTo = padTo;
    probe.ttl = 9;
    a.apply({probe});
    const auto padded = b.await<ControlUpcall>();
    CHECK(padded && padded->bytes == hello);
    CHECK_EQ(padded->datagramBytes, std::max<size_t>(padTo, wire::overheadBytes + 3));
  }
  a.apply({controlTo(7, {})});  // a keepalive is not news
  a.apply({controlTo(7, hello)});
  const auto next = b.await<ControlUpcall>();
  CHECK(next && next->bytes == hello);
  const std::vector<uint8_t> large(limits::controlBytes, 5);
  a.apply({controlTo(7, large)});
  const auto whole = b.await<ControlUpcall>();
  CHECK(whole && whole->bytes == large);
  const std::vector<uint8_t> tooLarge(limits::controlBytes + 1, 5);
  a.apply({controlTo(7, tooLarge)});
  CHECK(a.awaitDrops(DropReason::tooLong, 1));
}

TEST("engine: rekeying loses nothing, old keys open, unused ones do not seal") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  const KeyPair first = KeyPair::make(7);
  join(a, b, first);
  a.inject(frameAB(Frame(50, 1)));
  CHECK(b.readTap());
  const KeyPair second = KeyPair::make(8);
  b.apply({second.forSecond(1, KeyUse::confirmed)});
  b.inject(frameBA(Frame(50, 2)));  // still under the first keys
  CHECK(a.readTap());
  a.apply({second.forFirst(1, KeyUse::now)});
  b.inject(frameBA(Frame(50, 3)));  // A opens under its previous keys
  CHECK(a.readTap());
  a.inject(frameAB(Frame(50, 4)));
  CHECK(b.readTap());
  const auto confirmed = b.await<KeysConfirmedUpcall>();
  CHECK(confirmed && confirmed->receive == second.thereReceive);
  for (uint8_t i = 0; i < 5; i++) {
    b.inject(frameBA(Frame(50, i)));
    CHECK(a.readTap());
  }
  // Third keys throw the first ones out.
  const KeyPair third = KeyPair::make(9);
  a.apply({third.forFirst(1, KeyUse::now)});
  b.apply({third.forSecond(1, KeyUse::now)});
  a.inject(frameAB(Frame(50, 4)));
  CHECK(b.readTap());
  CHECK_EQ(a.engine().counters().of(DropReason::unknownReceiver), 0);
  CHECK_EQ(b.engine().counters().of(DropReason::unknownReceiver), 0);
}

TEST("engine: expired keys neither seal nor open") {
  Host a, b;
  Wire wire;
  CHECK(a.ok() && b.ok());
  const KeyPair keys = KeyPair::make(10);
  join(a, b, keys);
  Keys brief = keys.forSecond(1, KeyUse::now);
  brief.rejectAfterMs = 0;
  b.apply({brief});
  a.inject(frameAB(Frame(50, 1)));
  CHECK(b.awaitDrops(DropReason::expiredKeys, 1));
  b.inject(frameBA(Frame(50, 1)));
  CHECK(b.awaitDrops(DropReason::expiredKeys, 2));
  CHECK(!b.readTap(20) && !a.readTap(20));
}

TEST("engine: every flipped bit of a data datagram delivers nothing, the original does") {
  Host a, b;
  Wire wire;
  CHECK(a.ok() && b.ok());
  const KeyPair keys = KeyPair::make(11);
  join(a, b, keys);
  a.apply({directPath(1, 0, wire.endpoint())});
  const auto caught = caughtDatagram(a, wire, Frame(20, 7));
  CHECK(caught.has_value());
  for (size_t bit = 0; bit < caught->size() * 8; bit++) {
    auto forged = *caught;
    forged[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    wire.send(b.endpoint(), forged);
    if (bit % 64 == 63) {
      CHECK(b.awaitCount([](const Counters& c) { return c.datagramsIn; }, bit + 1));
    }
  }
  for (size_t bytes = 0; bytes < caught->size(); bytes++) {
    wire.send(b.endpoint(), Bytes(*caught).first(bytes));
  }
  CHECK(b.awaitCount([](const Counters& c) { return c.datagramsIn; },
                     caught->size() * 9));
  CHECK_EQ(b.engine().counters().tapFramesOut, 0);
  wire.send(b.endpoint(), *caught);
  wire.send(b.endpoint(), *caught);
  const auto got = b.readTap();
  CHECK(got && got->frame == frameAB(Frame(20, 7)));
  CHECK(b.awaitDrops(DropReason::replayed, 1));
  CHECK_EQ(b.engine().counters().tapFramesOut, 1);
  CHECK(b.await<EndpointUpcall>());  // the wire is none of the session's paths
}

TEST("engine: misses wait, are announced and released in order") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(12));
  a.apply({ForwardRemove{macB}});
  for (uint8_t i = 0; i < 10; i++) a.inject(frameAB(Frame(200, i)));
  const auto miss = a.await<MissUpcall>();
  CHECK(miss && miss->mac == macB && miss->head.size() == limits::missHeadBytes);
  CHECK(a.awaitCount([](const Counters& c) { return c.tapFramesIn; }, 10));
  a.apply({forwardTo(macB, 1)});
  for (uint8_t i = 10; i < 20; i++) a.inject(frameAB(Frame(200, i)));
  for (uint8_t i = 0; i < 20; i++) {
    const auto got = b.readTap();
    CHECK(got && got->frame == frameAB(Frame(200, i)));
  }
  CHECK(!a.await<MissUpcall>(nullptr, 20));
  a.apply({ForwardRemove{macB}});
  a.inject(frameAB(Frame(1, 1)));
  CHECK(a.await<MissUpcall>());
  a.apply({ForwardRemove{macB}});
  CHECK(a.awaitDrops(DropReason::noRoute, 1));
}

TEST("engine: entries time out, local and drop entries send nothing") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(13));
  Forward brief = forwardTo(macB, 1);
  brief.ttlMs = 0;
  a.apply({brief});
  a.inject(frameAB(Frame(1, 1)));
  CHECK(a.await<MissUpcall>());
  a.apply({ForwardRemove{macB}, forwardLocal(macB)});
  a.inject(frameAB(Frame(1, 1)));
  CHECK(a.awaitDrops(DropReason::notForUs, 1));
  Forward drop = forwardLocal(macB);
  drop.to = ForwardDrop{};
  a.apply({drop});
  a.inject(frameAB(Frame(1, 1)));
  CHECK(a.awaitDrops(DropReason::noRoute, 2));
  CHECK_EQ(a.engine().counters().datagramsOut, 0);
}

TEST("engine: broadcast and DHCP go to the core with complete checksums") {
  Host a;
  CHECK(a.ok());
  const Frame request = arp(broadcast, macA, macA, ipOfA, ipOfB);
  a.inject(request);
  auto got = a.await<FrameUpcall>();
  CHECK(got && got->bytes == request);
  const Frame renewal = udp(macB, macA, ipOfA, ipOfB, 68, 67, Frame(240, 1));
  Frame partial = renewal;
  storeBe16(&partial[14 + 20 + 6], 0x1234);
  FrameView view;
  CHECK(parseFrame(partial, view) == DropReason::none);
  storeBe16(&partial[view.layer4Offset + 6],
            pseudoHeaderSum(partial, view, view.end - view.layer4Offset));
  a.inject(partial, {VnetHeader::needsChecksum, 0, 0, 0, view.layer4Offset, 6});
  got = a.await<FrameUpcall>();
  CHECK(got && got->bytes == renewal);
  a.inject(Frame(13, 1));
  CHECK(a.awaitDrops(DropReason::shortFrame, 1));
}

TEST("engine: frames are held until the first filter, then judged") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  const KeyPair keys = KeyPair::make(14);
  openSession(a, 1, keys.forFirst(1, KeyUse::now), b.endpoint());
  openSession(b, 1, keys.forSecond(1, KeyUse::now), a.endpoint());
  a.apply({forwardTo(macB, 1)});
  b.apply({forwardLocal(macB)});
  const Frame fine = frameAB(Frame(10, 1));
  const Frame lie = udp(macB, macA, ipOfB, ipOfB, 1, 2, {});
  a.inject(fine);
  a.inject(lie);
  a.inject(fine);
  const auto held = b.await<HeldUpcall>();
  CHECK(held && held->session == 1 && held->mac == macA && held->ip == ipOfA);
  CHECK(b.awaitCount([](const Counters& c) { return c.datagramsIn; }, 3));
  CHECK(!b.readTap(20));
  b.apply({filterFor(1, macA, {ipOfA})});
  for (int i = 0; i < 2; i++) {
    const auto got = b.readTap();
    CHECK(got && got->frame == fine);
  }
  CHECK(b.awaitDrops(DropReason::sourceIp, 1));
  // Not ours, and floods do not come this way.
  a.apply({forwardTo(macC, 1)});
  a.inject(udp(macC, macA, ipOfA, ipOfB, 1, 2, {}));
  CHECK(b.awaitDrops(DropReason::noRoute, 1));
  FrameToPeer flood;
  flood.session = 1;
  const Frame broadcastFrame = arp(broadcast, macA, macA, ipOfA, ipOfB);
  flood.bytes = broadcastFrame;
  a.apply({flood});
  CHECK(b.awaitDrops(DropReason::noRoute, 2));
  // frame-to-tap needs no permission.
  FrameToTap toTap;
  toTap.bytes = broadcastFrame;
  b.apply({toTap});
  const auto written = b.readTap();
  CHECK(written && written->frame == broadcastFrame);
}

TEST("engine: keepalives come without anybody calling apply") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(15));
  Path path = directPath(1, 0, b.endpoint());
  path.keepaliveMs = 30;
  a.apply({path});
  CHECK(b.awaitCount([](const Counters& c) { return c.datagramsIn; }, 5));
  b.apply({ReportTraffic{}});
  const auto traffic = b.await<TrafficUpcall>();
  CHECK(traffic && traffic->sessions.size() == 1 && traffic->sessions[0].silentMs.has_value());
  CHECK(!b.await<ControlUpcall>(nullptr, 20));
  CHECK_EQ(a.engine().counters().tapFramesIn, 0);
}

TEST("engine: traffic of a session is counted") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(16));
  const Frame frame = frameAB(Frame(100, 1));
  for (int i = 0; i < 5; i++) a.inject(frame);
  for (int i = 0; i < 5; i++) CHECK(b.readTap());
  a.apply({ReportTraffic{}});
  b.apply({ReportTraffic{}});
  const auto sent = a.await<TrafficUpcall>();
  const auto got = b.await<TrafficUpcall>();
  CHECK(sent && got);
  CHECK_EQ(sent->sessions[0].framesOut, 5);
  CHECK_EQ(sent->sessions[0].bytesOut, 5 * frame.size());
  CHECK(!sent->sessions[0].silentMs);
  CHECK_EQ(got->sessions[0].framesIn, 5);
  CHECK_EQ(got->sessions[0].bytesIn, 5 * frame.size());
}
