// Header walk, source filter and checksums.
#include "bytes.h"
#include "checksum.h"
#include "engine-limits.h"
#include "frame-parse.h"
#include "frames.h"
#include "harness.h"
#include "source-filter.h"

namespace {

using namespace weft;
using namespace weft::test;

const Ip ipA = ipv4(10, 7, 0, 1);
const Ip ipB = ipv4(10, 7, 0, 2);

SourceFilter filterOfA() {
  const std::vector<FilterEntry> entries = {{macA, {ipA, ipv6(1)}}, {macC, {ipv4(10, 7, 0, 3)}}};
  return *SourceFilter::make(entries);
}

DropReason check(const Frame& frame) {
  FrameView view;
  const DropReason reason = parseFrame(frame, view);
  return reason != DropReason::none ? reason : filterOfA().check(frame, view);
}

Frame neighbour(uint8_t type, const Ip& source, const Ip& target, const Mac& option) {
  Frame rest(4, 0);
  rest.insert(rest.end(), target.bytes.begin(), target.bytes.end());
  rest.insert(rest.end(), {static_cast<uint8_t>(type == 135 ? 1 : 2), 1});
  rest.insert(rest.end(), option.begin(), option.end());
  return icmpv6(macB, macA, source, linkLocal(macB), type, rest);
}

#define CHECK_REASON(frame, expected) \
  CHECK_EQ(static_cast<int>(check(frame)), static_cast<int>(DropReason::expected))

}  // namespace

TEST("frame: random bytes and cut frames never leave the frame") {
  Random random(4);
  const SourceFilter filter = filterOfA();
  const std::vector<Frame> seeds = {
      udp(macB, macA, ipA, ipB, 5, 6, random.bytes(40)),
      withVlan(tcp(macB, macA, ipA, ipB, {}, random.bytes(100)), 7),
      neighbour(136, linkLocal(macA), linkLocal(macA), macA), arp(macB, macA, macA, ipA, ipB)};
  for (int round = 0; round < 200'000; round++) {
    Frame frame = seeds[random.below(seeds.size())];
    if (round % 3 == 0) frame = random.bytes(random.below(120));
    for (uint64_t flips = random.below(4); flips > 0 && !frame.empty(); flips--) {
      frame[random.below(frame.size())] = random.byte();
    }
    if (random.below(3) == 0) frame.resize(random.below(frame.size() + 1));
    frame.shrink_to_fit();  // so that the sanitizer sees one byte too many
    FrameView view;
    if (parseFrame(frame, view) != DropReason::none) continue;
    CHECK(view.end <= frame.size() && view.layer3Offset <= view.end);
    CHECK(view.layer4Offset <= view.end);
    filter.check(frame, view);
  }
}

TEST("frame: offsets behind tags, options and extension headers") {
  FrameView view;
  CHECK(parseFrame(withVlan(withVlan(udp(macB, macA, ipA, ipB, 1, 2, {}), 1), 2), view) ==
        DropReason::none);
  CHECK_EQ(view.layer3Offset, 22);
  CHECK_EQ(view.layer4Offset, 42);
  CHECK_EQ(view.protocol, 17);
  Frame three = udp(macB, macA, ipA, ipB, 1, 2, {});
  for (uint16_t tag : {1, 2, 3}) three = withVlan(three, tag);
  CHECK(parseFrame(three, view) == DropReason::badField);

  // hop-by-hop, then destination options, then UDP
  Frame extended{60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0, 0, 5, 0, 6, 0, 8, 0, 0};
  const Frame frame = packet(macB, macA, ipv6(1), ipv6(2), 0, extended);
  CHECK(parseFrame(frame, view) == DropReason::none);
  CHECK_EQ(view.layer4Offset, 14 + 40 + 16);
  CHECK_EQ(view.protocol, 17);
  Frame endless;
  for (int i = 0; i < 9; i++) endless.insert(endless.end(), {60, 0, 1, 4, 0, 0, 0, 0});
  CHECK(parseFrame(packet(macB, macA, ipv6(1), ipv6(2), 60, endless), view) ==
        DropReason::badField);
}

TEST("filter: MAC and address sources") {
  CHECK_REASON(udp(macB, macA, ipA, ipB, 5, 6, {}), none);
  CHECK_REASON(withVlan(udp(macB, macA, ipA, ipB, 5, 6, {}), 5), none);
  CHECK_REASON(udp(macB, macB, ipA, ipB, 5, 6, {}), sourceMac);
  CHECK_REASON(udp(macB, broadcast, ipA, ipB, 5, 6, {}), sourceMac);
  CHECK_REASON(udp(macB, macA, ipv4(10, 7, 0, 3), ipB, 5, 6, {}), sourceIp);  // macC's address
  CHECK_REASON(withVlan(udp(macB, macA, ipB, ipB, 5, 6, {}), 5), sourceIp);
  CHECK_REASON(udp(macB, macA, ipv4(0, 0, 0, 0), ipB, 68, 5, {}), sourceIp);
  CHECK_REASON(udp(macB, macA, ipv6(1), ipv6(2), 5, 6, {}), none);
  CHECK_REASON(udp(macB, macA, linkLocal(macA), ipv6(2), 5, 6, {}), none);
  CHECK_REASON(udp(macB, macA, linkLocal(macB), ipv6(2), 5, 6, {}), sourceIp);
  CHECK_REASON(udp(macB, macA, ipv6(9), ipv6(2), 5, 6, {}), sourceIp);
  CHECK_REASON(ethernet(macB, macA, 0x88b5, Frame(46, 0)), none);
}

TEST("filter: ARP senders") {
  CHECK_REASON(arp(macB, macA, macA, ipA, ipB), none);
  CHECK_REASON(arp(macB, macA, macC, ipv4(10, 7, 0, 3), ipB), none);
  CHECK_REASON(arp(macB, macA, macA, ipv4(0, 0, 0, 0), ipB), none);  // a probe
  CHECK_REASON(arp(macB, macA, macA, ipB, ipB), arpSender);
  CHECK_REASON(arp(macB, macA, macB, ipB, ipB), arpSender);
  Frame strange = arp(macB, macA, macA, ipA, ipB);
  strange[14 + 4] = 7;  // hardware address length
  CHECK_REASON(strange, arpSender);
  strange.resize(30);
  CHECK_REASON(strange, shortFrame);
}

TEST("filter: neighbour discovery") {
  CHECK_REASON(neighbour(136, linkLocal(macA), linkLocal(macA), macA), none);
  CHECK_REASON(neighbour(136, linkLocal(macA), ipv6(1), macA), none);
  CHECK_REASON(neighbour(136, linkLocal(macA), ipv6(2), macA), ndTarget);
  CHECK_REASON(neighbour(136, linkLocal(macA), ipv6(1), macB), ndTarget);
  CHECK_REASON(neighbour(135, linkLocal(macA), ipv6(2), macA), none);
  CHECK_REASON(neighbour(135, ipv6(0), ipv6(2), macA), sourceIp);
  CHECK_REASON(neighbour(135, Ip{{}, Family::v6}, ipv6(7), macA), none);  // DAD
  CHECK_REASON(neighbour(136, Ip{{}, Family::v6}, ipv6(1), macA), sourceIp);
  Frame cut = neighbour(136, linkLocal(macA), ipv6(1), macA);
  cut[14 + 5] = 20;  // IPv6 payload length: the message is cut inside its target
  CHECK_REASON(cut, ndTarget);
  Frame zeroOption = neighbour(136, linkLocal(macA), ipv6(1), macA);
  zeroOption[14 + 40 + 25] = 0;
  CHECK_REASON(zeroOption, ndTarget);
}

TEST("filter: what no member may send") {
  const Frame rest(12, 0);
  for (const uint8_t type : {134, 137}) {
    CHECK_REASON(icmpv6(macB, macA, linkLocal(macA), linkLocal(macB), type, rest),
                 routerAdvertisement);
  }
  CHECK_REASON(packet(macB, macA, ipA, ipB, 1, Frame{5, 1, 0, 0}), routerAdvertisement);
  CHECK_REASON(udp(macB, macA, ipA, ipB, 67, 68, {}), dhcpOverOverlay);
  CHECK_REASON(udp(macB, macA, ipv6(1), ipv6(2), 547, 546, {}), dhcpOverOverlay);
  CHECK_REASON(ethernet({1, 0x80, 0xc2, 0, 0, 0}, macA, 38, Frame(46, 0x42)), linkControl);
  CHECK_REASON(ethernet({1, 0x80, 0xc2, 0, 0, 0x0e}, macA, 0x88cc, Frame(46, 0)), linkControl);
  CHECK_REASON(ethernet({1, 0x80, 0xc2, 0, 0, 0x10}, macA, 0x88b5, Frame(46, 0)), none);
}

TEST("filter: fragments are checked by their addresses, and cannot hide a transport header") {
  Frame later = udp(macB, macA, ipA, ipB, 67, 68, {});
  storeBe16(&later[14 + 6], 0x0010);
  CHECK_REASON(later, none);
  std::memcpy(&later[14 + 12], ipB.bytes.data(), 4);
  CHECK_REASON(later, sourceIp);
  Frame tiny = packet(macB, macA, ipA, ipB, protocolUdp, Frame(7, 0));
  storeBe16(&tiny[14 + 6], 0x2000);
  CHECK_REASON(tiny, shortFrame);
  // A router advertisement behind a first fragment header is seen through.
  Frame fragmented{58, 0, 0, 1, 0, 0, 0, 1, 134, 0, 0, 0, 0, 0, 0, 0};
  CHECK_REASON(packet(macB, macA, linkLocal(macA), linkLocal(macB), 44, fragmented),
               routerAdvertisement);
  fragmented[8] = 135;
  fragmented.resize(8 + 24);
  CHECK_REASON(packet(macB, macA, linkLocal(macA), linkLocal(macB), 44, fragmented), ndTarget);
}

TEST("filter: bounds of its table") {
  std::vector<FilterEntry> entries(limits::macsPerSession + 1);
  CHECK(!SourceFilter::make(entries));
  entries.resize(1);
  entries[0].ips.resize(limits::ipsPerMac + 1);
  CHECK(!SourceFilter::make(entries));
}

TEST("checksum: a partial one completed equals the whole one") {
  Random random(5);
  for (int round = 0; round < 500; round++) {
    const bool v6 = round % 2 == 0;
    Frame frame = tcp(macB, macA, v6 ? ipv6(1) : ipA, v6 ? ipv6(2) : ipB,
                      {.sequence = static_cast<uint32_t>(random.next()), .optionBytes = 0},
                      random.bytes(random.below(90)));
    CHECK(checksumsAreRight(frame));
    Frame partial = frame;
    FrameView view;
    CHECK(parseFrame(partial, view) == DropReason::none);
    const auto layer4Bytes = static_cast<uint32_t>(view.end - view.layer4Offset);
    storeBe16(&partial[view.layer4Offset + 16], pseudoHeaderSum(partial, view, layer4Bytes));
    CHECK(completeChecksum(partial, view.layer4Offset, 16, view.end));
    CHECK(partial == frame);
    CHECK(!completeChecksum(partial, view.end - 10, 16, view.end));
  }
}
