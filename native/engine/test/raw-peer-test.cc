// A peer that holds the keys and says what no engine of ours would: lying descriptors, aggregates,
// halves of frames, lanes, huge counters.
#include <algorithm>
#include <chrono>
#include <thread>

#include "bytes.h"
#include "checksum.h"
#include "frame-parse.h"
#include "harness.h"
#include "host.h"
#include "session-keys.h"
#include "wire.h"

namespace {

using namespace weft;
using namespace weft::test;

/// Plays A towards an engine B; session 1, macA behind us, macB behind B.
class RawPeer {
 public:
  explicit RawPeer(Host& b) : b_(b), keys_(KeyPair::make(50)) {
    openSession(b, 1, keys_.forSecond(1, KeyUse::now), wire_.endpoint());
    b.apply({forwardLocal(macB), filterFor(1, macA, {ipOfA})});
    sealing_ = Aead::make(keys_.cipher, Aead::Direction::seal, Bytes(keys_.forth).first(32));
    std::copy(keys_.forth.begin() + 32, keys_.forth.end(), salt_.begin());
  }

  /// Seals descriptor and body under any lane and counter, and sends it.
  void send(const wire::Descriptor& descriptor, Bytes body) {
    sendInner(innerOf(descriptor, body));
  }
  void sendInner(const std::vector<uint8_t>& inner) { sendAs(0, counter_++, inner); }
  void sendAs(uint8_t lane, uint64_t counter, Bytes inner) {
    wire_.send(b_.endpoint(), seal(lane, counter, inner));
  }
  std::vector<uint8_t> seal(uint8_t lane, uint64_t counter, Bytes inner) {
    std::vector<uint8_t> datagram(wire::dataHeaderBytes + inner.size() + wire::tagBytes);
    wire::emitDataHeader({lane, keys_.thereReceive, counter}, datagram.data());
    sealing_->seal(wire::nonceOf(salt_, lane, counter), {}, inner,
                   datagram.data() + wire::dataHeaderBytes);
    return datagram;
  }
  static std::vector<uint8_t> innerOf(const wire::Descriptor& descriptor, Bytes body) {
    std::vector<uint8_t> inner(wire::descriptorBytes);
    wire::emitDescriptor(descriptor, inner.data());
    inner.insert(inner.end(), body.begin(), body.end());
    return inner;
  }

 private:
  Host& b_;
  Wire wire_;
  KeyPair keys_;
  std::optional<Aead> sealing_;
  wire::Salt salt_{};
  uint64_t counter_ = 0;
};

wire::Descriptor partialTcp(uint16_t start) {
  wire::Descriptor descriptor;
  descriptor.partial = true;
  descriptor.layer4 = wire::Layer4::tcp;
  descriptor.checksumStart = start;
  return descriptor;
}

}  // namespace

TEST("raw peer: a partial checksum must lie where the headers say") {
  Host b;
  CHECK(b.ok());
  RawPeer peer(b);
  const Frame frame = tcp(macB, macA, ipOfA, ipOfB, {}, Frame(100, 1));
  uint64_t refused = 0;
  for (const uint16_t start : {0, 14, 32, 36, 98, 510}) {
    peer.send(partialTcp(start), frame);
    CHECK(b.awaitDrops(DropReason::badField, ++refused));
  }
  wire::Descriptor udpClaim = partialTcp(34);
  udpClaim.layer4 = wire::Layer4::udp;
  peer.send(udpClaim, frame);
  CHECK(b.awaitDrops(DropReason::badField, ++refused));
  Frame padded = frame;
  padded.resize(frame.size() + 10);  // the kernel would sum over the padding
  peer.send(partialTcp(34), padded);
  CHECK(b.awaitDrops(DropReason::badField, ++refused));
  peer.send(partialTcp(34), frame);
  const auto got = b.readTap();
  CHECK(got && got->frame == frame && got->vnet.checksumStart == 34);
  CHECK_EQ(got->vnet.checksumOffset, 16);
  CHECK(!b.readTap(20));
}

TEST("raw peer: aggregates are taken apart, and broken ones end where they break") {
  Host b;
  CHECK(b.ok());
  RawPeer peer(b);
  wire::Descriptor aggregate, plain;
  aggregate.kind = wire::Kind::aggregate;
  std::vector<uint8_t> body;
  for (uint8_t i = 0; i < 5; i++) {
    const Frame frame = frameAB(Frame(20 + i, i));
    std::vector<uint8_t> record(2 + wire::descriptorBytes);
    storeLe(record.data(), static_cast<uint16_t>(wire::descriptorBytes + frame.size()));
    wire::emitDescriptor(plain, record.data() + 2);
    record.insert(record.end(), frame.begin(), frame.end());
    body.insert(body.end(), record.begin(), record.end());
  }
  peer.send(aggregate, body);
  for (uint8_t i = 0; i < 5; i++) {
    const auto got = b.readTap();
    CHECK(got && got->frame == frameAB(Frame(20 + i, i)));
  }
  auto broken = body;
  broken.resize(body.size() - 3);
  peer.send(aggregate, broken);
  for (int i = 0; i < 4; i++) CHECK(b.readTap());
  CHECK(b.awaitDrops(DropReason::badField, 1));
  Random random(51);
  for (int i = 0; i < 300; i++) peer.send(aggregate, random.bytes(random.below(80)));
  CHECK(b.awaitCount([](const Counters& c) { return c.datagramsIn; }, 302));
}

TEST("raw peer: random descriptors and bodies break nothing") {
  Host b;
  CHECK(b.ok());
  RawPeer peer(b);
  Random random(52);
  const std::vector<Frame> seeds = {frameAB(Frame(30, 1)),
                                    tcp(macB, macA, ipOfA, ipOfB, {}, Frame(400, 2))};
  for (uint64_t i = 1; i <= 4000; i++) {
    std::vector<uint8_t> inner = random.bytes(wire::descriptorBytes);
    if (random.below(2)) inner[3] &= 0x1f;
    const Frame body =
        random.below(2) ? seeds[random.below(2)] : random.bytes(random.below(200));
    inner.insert(inner.end(), body.begin(), body.end());
    peer.sendInner(inner);
    while (b.readTap(0)) {
    }
    if (i % 50 == 0) CHECK(b.awaitCount([](const Counters& c) { return c.datagramsIn; }, i));
  }
  peer.send({}, frameAB(Frame(9, 9)));
  std::optional<TapRead> last;
  do {
    last = b.readTap();
  } while (last && last->frame != frameAB(Frame(9, 9)));
  CHECK(last.has_value());
}

TEST("raw peer: superframe members of two flows and gaps come out as they went in") {
  Host b;
  CHECK(b.ok());
  RawPeer peer(b);
  Random random(53);
  std::vector<Frame> sent;
  uint32_t sequence = 1;
  for (uint8_t i = 0; i < 40; i++) {
    TcpFields fields;
    fields.id = i;
    fields.sequence = sequence;
    Frame frame = tcp(macB, macA, ipOfA, ipOfB, fields, random.bytes(100));
    FrameView view;
    CHECK(parseFrame(frame, view) == DropReason::none);
    storeBe16(&frame[50], pseudoHeaderSum(frame, view, view.end - view.layer4Offset));
    if (random.below(3) != 0) sequence += 100;  // else the same bytes again
    wire::Descriptor descriptor = partialTcp(34);
    descriptor.member = true;
    descriptor.index = i;
    peer.send(descriptor, frame);
    sent.push_back(frame);
  }
  // Whatever was merged, the payload bytes arrive in order, none lost and none twice.
  std::vector<uint8_t> expected, received;
  for (const Frame& frame : sent) expected.insert(expected.end(), frame.begin() + 66, frame.end());
  while (received.size() < expected.size()) {
    const auto got = b.readTap();
    CHECK(got.has_value());
    received.insert(received.end(), got->frame.begin() + 66, got->frame.end());
  }
  CHECK(received == expected);
}

TEST("raw peer: lanes have windows of their own; counters past the limit are refused") {
  Host b;
  CHECK(b.ok());
  RawPeer peer(b);
  std::vector<uint8_t> inner(wire::descriptorBytes);
  const Frame frame = frameAB(Frame(10, 1));
  inner.insert(inner.end(), frame.begin(), frame.end());
  for (uint8_t lane = 0; lane < limits::lanes; lane++) {
    peer.sendAs(lane, 7, inner);
    CHECK(b.readTap());
  }
  peer.sendAs(1, 7, inner);
  CHECK(b.awaitDrops(DropReason::replayed, 1));
  peer.sendAs(limits::lanes, 8, inner);
  CHECK(b.awaitDrops(DropReason::badField, 1));
  peer.sendAs(0, limits::rejectAfterMessages, inner);
  CHECK(b.awaitDrops(DropReason::counterLimit, 1));
  peer.sendAs(0, 20'000, inner);
  CHECK(b.readTap());
  peer.sendAs(0, 20'000 - limits::replayWindow, inner);
  CHECK(b.awaitDrops(DropReason::replayed, 2));
  peer.sendAs(0, 20'001 - limits::replayWindow, inner);
  CHECK(b.readTap());
}

// Run by `make tsan` too: whoever sends, one thread of the engine asks and moves the window.
TEST("raw peer: replays by two threads at once deliver each packet once") {
  Host b;
  CHECK(b.ok());
  RawPeer peer(b);
  constexpr uint16_t packets = 2'000;
  std::vector<std::vector<uint8_t>> recorded;
  for (uint16_t i = 0; i < packets; i++) {
    const std::vector<uint8_t> number = {static_cast<uint8_t>(i), static_cast<uint8_t>(i >> 8)};
    recorded.push_back(peer.seal(0, i, RawPeer::innerOf({}, frameAB(number))));
  }
  const auto replay = [&recorded, to = b.endpoint()] {
    Wire wire;
    for (size_t i = 0; i < recorded.size(); i++) {
      wire.send(to, recorded[i]);
      if (i % 50 == 49) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  };
  std::thread first(replay), second(replay);
  std::vector<int> seen(packets, 0);
  for (size_t got = 0; got < packets; got++) {
    const auto read = b.readTap();
    CHECK(read.has_value());
    const uint8_t* tail = &read->frame[read->frame.size() - 2];
    seen[static_cast<size_t>(tail[0] | tail[1] << 8)]++;
  }
  first.join();
  second.join();
  CHECK(b.awaitDrops(DropReason::replayed, packets));
  CHECK(!b.readTap(20));
  CHECK(std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; }));
}
