// Three engines: A and B talk through R, which never opens what it carries.
#include "bytes.h"
#include "harness.h"
#include "host.h"
#include "wire.h"

namespace {

using namespace weft;
using namespace weft::test;

constexpr SessionId withRelay = 5;  // A-R and B-R on the outer sides
constexpr SessionId withA = 11;     // at R
constexpr SessionId withB = 12;
constexpr SessionId endToEnd = 1;

Path relayPath(Label label) {
  Path path;
  path.session = endToEnd;
  path.path = 0;
  path.to = RelayTarget{withRelay, label};
  path.maxDatagram = 1400;
  return path;
}

LabelRoute route(SessionId ingress, Label label, SessionId out, Label outLabel) {
  LabelRoute made;
  made.ingress = ingress;
  made.label = label;
  made.to = LabelOut{out, outLabel};
  return made;
}

LabelRoute ends(Label label) {
  LabelRoute made;
  made.ingress = withRelay;
  made.label = label;
  made.to = LabelEnds{};
  return made;
}

/// A --100--> R --200--> B and back with the same labels.
struct Triangle {
  Host a, b, relay;
  KeyPair ar = KeyPair::make(20), br = KeyPair::make(21), ab = KeyPair::make(22);

  bool ok() { return a.ok() && b.ok() && relay.ok(); }
  void connect() {
    openSession(a, withRelay, ar.forFirst(withRelay, KeyUse::now), relay.endpoint());
    openSession(b, withRelay, br.forFirst(withRelay, KeyUse::now), relay.endpoint());
    openSession(relay, withA, ar.forSecond(withA, KeyUse::now), a.endpoint());
    openSession(relay, withB, br.forSecond(withB, KeyUse::now), b.endpoint());
    relay.apply({route(withA, 100, withB, 200), route(withB, 200, withA, 100)});
    a.apply({SessionOpen{endToEnd}, ab.forFirst(endToEnd, KeyUse::now), relayPath(100),
             PathActive{endToEnd, 0}, ends(100), forwardTo(macB, endToEnd), forwardLocal(macA),
             filterFor(endToEnd, macB, {ipOfB})});
    b.apply({SessionOpen{endToEnd}, ab.forSecond(endToEnd, KeyUse::now), relayPath(200),
             PathActive{endToEnd, 0}, ends(200), forwardTo(macA, endToEnd), forwardLocal(macB),
             filterFor(endToEnd, macA, {ipOfA})});
  }
};

}  // namespace

TEST("relay: frames and control messages pass a third engine, which opens nothing") {
  Triangle net;
  CHECK(net.ok());
  net.connect();
  for (uint8_t i = 0; i < 50; i++) {
    net.a.inject(frameAB(Frame(500, i)));
    const auto got = net.b.readTap();
    CHECK(got && got->frame == frameAB(Frame(500, i)));
    net.b.inject(frameBA(Frame(500, i)));
    CHECK(net.a.readTap());
  }
  CHECK_EQ(net.relay.engine().counters().relayedDatagrams, 100);
  const std::vector<uint8_t> hello = {4, 5};
  Control control;
  control.session = endToEnd;
  control.bytes = hello;
  net.a.apply({control});
  const auto got = net.b.await<ControlUpcall>();
  CHECK(got && got->bytes == hello && got->path == PathIndex{0} && !got->from);
  CHECK_EQ(got->datagramBytes, wire::relayHeaderBytes + wire::overheadBytes + 2);
  CHECK(!net.b.await<EndpointUpcall>(nullptr, 20));  // a shim never moves a path
  net.relay.apply({ReportTraffic{}});
  const auto traffic = net.relay.await<TrafficUpcall>();
  CHECK(traffic.has_value());
  for (const SessionTraffic& each : traffic->sessions) CHECK(each.relayedBytes > 50 * 500);
}

TEST("relay: a label counts only from its own session's endpoint") {
  Triangle net;
  CHECK(net.ok());
  net.connect();
  Wire stranger;
  std::vector<uint8_t> datagram(wire::relayHeaderBytes + wire::overheadBytes, 0);
  wire::emitRelayHeader({4, 100}, datagram.data());
  datagram[wire::relayHeaderBytes] = wire::data;
  stranger.send(net.relay.endpoint(), datagram);
  CHECK(net.relay.awaitDrops(DropReason::labelSource, 1));
  wire::emitRelayHeader({4, 101}, datagram.data());
  stranger.send(net.relay.endpoint(), datagram);
  CHECK(net.relay.awaitDrops(DropReason::unknownLabel, 1));
  datagram[wire::relayHeaderBytes] = wire::relay;  // a shim inside a shim
  stranger.send(net.relay.endpoint(), datagram);
  CHECK(net.relay.awaitDrops(DropReason::badField, 1));
  stranger.send(net.relay.endpoint(), Bytes(datagram).first(12));
  CHECK(net.relay.awaitDrops(DropReason::truncated, 1));
  CHECK_EQ(net.relay.engine().counters().relayedDatagrams, 0);
}

TEST("relay: time to live, rate limit, removed labels and closed sessions") {
  Triangle net;
  CHECK(net.ok());
  net.connect();
  Wire wire;
  // The wire plays A towards R.
  net.relay.apply({directPath(withA, 1, wire.endpoint())});
  std::vector<uint8_t> datagram(wire::relayHeaderBytes + wire::overheadBytes + 1000, 0);
  datagram[wire::relayHeaderBytes] = wire::data;
  wire::emitRelayHeader({1, 100}, datagram.data());
  wire.send(net.relay.endpoint(), datagram);
  CHECK(net.relay.awaitDrops(DropReason::relayTtl, 1));
  // What leaves has the next label and one hop less.
  net.relay.apply({directPath(withB, 0, wire.endpoint())});
  wire::emitRelayHeader({3, 100}, datagram.data());
  wire.send(net.relay.endpoint(), datagram);
  const auto out = wire.receive();
  CHECK(out && out->size() == datagram.size() && (*out)[1] == 2);
  CHECK_EQ(loadLe<uint32_t>(&(*out)[4]), 200);
  net.relay.apply({RelayLimit{1000, 0}});
  for (int i = 0; i < 100; i++) wire.send(net.relay.endpoint(), datagram);
  CHECK(net.relay.awaitDrops(DropReason::relayMemberRate, 30));
  net.relay.apply({LabelRemove{withA, 100}});
  wire.send(net.relay.endpoint(), datagram);
  CHECK(net.relay.awaitDrops(DropReason::unknownLabel, 1));
  net.relay.apply({route(withA, 100, withB, 200), SessionClose{withB}});
  wire.send(net.relay.endpoint(), datagram);
  CHECK(net.relay.awaitDrops(DropReason::unknownLabel, 2));
}
