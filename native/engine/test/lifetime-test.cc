// Opening, closing and misuse in every state; concurrent use while traffic flows.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "blake2b.h"
#include "bytes.h"
#include "harness.h"
#include "host.h"
#include "wire.h"

namespace {

using namespace weft;
using namespace weft::test;

Command randomCommand(Random& random, const KeyPair& keys, const std::vector<uint8_t>& bytes) {
  const auto session = static_cast<SessionId>(random.below(6));
  const auto path = static_cast<PathIndex>(random.below(10));
  switch (random.below(20)) {
    case 0: return SessionOpen{session};
    case 1: {
      Keys made = keys.forFirst(session, random.below(2) ? KeyUse::now : KeyUse::confirmed);
      if (random.below(4) == 0) made.sealing.key = made.sealing.key.first(random.below(32));
      return made;
    }
    case 2: return SessionClose{session};
    case 3: {
      Path made = directPath(session, path, loopback(static_cast<uint16_t>(1 + random.below(9))),
                             static_cast<uint16_t>(random.below(3000)));
      if (random.below(2)) made.to = RelayTarget{session + 1, static_cast<Label>(random.below(4))};
      made.keepaliveMs = static_cast<uint32_t>(random.below(3));
      return made;
    }
    case 4: return PathRemove{session, path};
    case 5: return PathActive{session, path};
    case 6: {
      Control control;
      control.session = session;
      control.bytes = bytes;
      if (random.below(2)) control.path = path;
      if (random.below(2)) control.padTo = static_cast<uint16_t>(random.next());
      return control;
    }
    case 7: {
      Datagram datagram;
      datagram.socket = static_cast<SocketIndex>(random.below(4));
      datagram.to = loopback(9);
      if (random.below(4) == 0) datagram.to.family = Family::v6;
      datagram.bytes = bytes;
      return datagram;
    }
    case 16:
      return SocketOpen{static_cast<SocketIndex>(random.below(4)),
                        random.below(4) ? Family::v4 : Family::v6, 0};
    case 17: return StreamOpen{static_cast<SocketIndex>(random.below(4)), loopback(9), {}};
    case 18: return SocketClose{static_cast<SocketIndex>(random.below(4))};
    case 8: return forwardTo(random.below(2) ? macB : macC, session);
    case 9: return ForwardRemove{random.below(2) ? macB : macC};
    case 10: return FrameToTap{Bytes(bytes).first(random.below(bytes.size()))};
    case 11: return FrameToPeer{session, Bytes(bytes).first(random.below(bytes.size()))};
    case 12: return filterFor(session, macB, {ipOfB});
    case 13: {
      LabelRoute route;
      route.ingress = session;
      route.label = static_cast<Label>(random.below(4));
      if (random.below(2)) route.to = LabelEnds{};
      return route;
    }
    case 14: return LabelRemove{session, 1};
    case 15: return ReportTraffic{};
    default: return Carrier{random.below(2) == 0};
  }
}

/// Ends the loops of a test's threads, whatever way the test ends.
struct StopAtEnd {
  std::atomic<bool>& flag;
  ~StopAtEnd() { flag = true; }
};

}  // namespace

TEST("lifetime: closed in every state a hundred times") {
  const KeyPair keys = KeyPair::make(30);
  for (int round = 0; round < 100; round++) {
    Host a, b;
    CHECK(a.ok() && b.ok());
    if (round % 5 > 0) join(a, b, keys);
    if (round % 5 > 1) {
      for (uint8_t i = 0; i < 20; i++) a.inject(frameAB(Frame(100, i)));
    }
    if (round % 5 > 2) b.engine().close();
    if (round % 5 > 3) {
      b.apply({SessionOpen{3}});
      a.closeTap();
    }
    a.engine().close();
    a.engine().close();
    std::vector<Upcall> none;
    a.engine().drain(none);
    CHECK(none.empty());
    a.apply({SessionOpen{4}});
  }
}

TEST("lifetime: a TAP whose other end is gone does not spin") {
  Host a;
  CHECK(a.ok());
  a.closeTap();
  CHECK(a.awaitDrops(DropReason::tapError, 2));
  CHECK(a.engine().counters().of(DropReason::tapError) < 20);
}

TEST("lifetime: random commands in random order break nothing") {
  Random random(31);
  const KeyPair keys = KeyPair::make(31);
  const auto bytes = random.bytes(2000);
  Host a;
  CHECK(a.ok());
  for (int round = 0; round < 300; round++) {
    std::vector<Command> batch;
    for (uint64_t i = random.below(30); i > 0; i--) {
      batch.push_back(randomCommand(random, keys, bytes));
    }
    a.apply(batch);
    a.inject(frameAB(Frame(50, 1)));
    std::vector<Upcall> upcalls;
    a.engine().drain(upcalls);
    while (a.readTap(0)) {
    }
  }
}

TEST("lifetime: commands, drains and counters while traffic flows both ways") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(32));
  std::atomic<bool> stop{false};
  std::jthread forth([&] {
    for (uint8_t i = 0; !stop; i++) a.inject(frameAB(Frame(700, i)));
  });
  std::jthread back([&] {
    for (uint8_t i = 0; !stop; i++) b.inject(frameBA(Frame(90, i)));
  });
  std::atomic<uint64_t> atA{0}, atB{0};
  std::jthread readA([&] {
    while (!stop) atA += a.readTap(10) ? 1 : 0;
  });
  std::jthread readB([&] {
    while (!stop) atB += b.readTap(10) ? 1 : 0;
  });
  const StopAtEnd stopAtEnd{stop};  // also when a check fails: the threads are joined behind it
  for (uint64_t round = 0; round < 150; round++) {
    const KeyPair keys = KeyPair::make(1000 + round);
    b.apply({keys.forSecond(1, KeyUse::confirmed), ReportTraffic{}});
    a.apply({keys.forFirst(1, KeyUse::now), forwardTo(macB, 1), ReportTraffic{},
             filterFor(1, macB, {ipOfB, ipv6(2)}), SessionOpen{9}, SessionClose{9}});
    a.engine().counters();
    CHECK(b.await<KeysConfirmedUpcall>(
        [&](const KeysConfirmedUpcall& up) { return up.receive == keys.thereReceive; }, 5000));
  }
  stop = true;
  forth.join();
  back.join();
  readA.join();
  readB.join();
  CHECK(atA > 100 && atB > 100);
  CHECK_EQ(b.engine().counters().of(DropReason::badTag), 0);
  CHECK_EQ(a.engine().counters().of(DropReason::badTag), 0);
}

TEST("lifetime: hosts roam under two streams, and each gets what is sealed for it") {
  Host a, b, c;
  CHECK(a.ok() && b.ok() && c.ok());
  const KeyPair forB = KeyPair::make(60), forC = KeyPair::make(61);
  openSession(a, 1, forB.forFirst(1, KeyUse::now), b.endpoint());
  openSession(a, 2, forC.forFirst(2, KeyUse::now), c.endpoint());
  openSession(b, 1, forB.forSecond(1, KeyUse::now), a.endpoint());
  openSession(c, 1, forC.forSecond(1, KeyUse::now), a.endpoint());
  a.apply({forwardTo(macB, 1), forwardTo(macC, 2)});
  b.apply({forwardLocal(macB), filterFor(1, macA, {ipOfA})});
  c.apply({forwardLocal(macC), filterFor(1, macA, {ipOfA})});
  std::atomic<bool> stop{false};
  std::thread send([&] {
    while (!stop) {
      a.inject(udp(macB, macA, ipOfA, ipOfB, 1, 2, Frame(200, 0xb)));
      a.inject(udp(macC, macA, ipOfA, ipOfB, 1, 2, Frame(200, 0xc)));
    }
  });
  std::atomic<uint64_t> right{0}, wrong{0};
  const auto read = [&](Host& host, uint8_t mark) {
    while (!stop) {
      const auto got = host.readTap(10);
      if (got) (got->frame.back() == mark ? right : wrong)++;
    }
  };
  std::thread readB([&] { read(b, 0xb); }), readC([&] { read(c, 0xc); });
  for (int round = 0; round < 600; round++) {
    // each is where the other was, as when two homes swap their networks
    const bool swapped = round % 2 == 1;
    a.apply({directPath(1, 0, swapped ? c.endpoint() : b.endpoint()),
             directPath(2, 0, swapped ? b.endpoint() : c.endpoint())});
    if (round % 20 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  stop = true;
  send.join();
  readB.join();
  readC.join();
  CHECK(right > 0);
  CHECK_EQ(wrong, 0);
  // what came to the wrong place found no keys there: never keys of one with the address of another
  for (Host* host : {&b, &c}) CHECK_EQ(host->engine().counters().of(DropReason::badTag), 0);
}

TEST("lifetime: strangers pass by mac1 only; STUN and garbage") {
  Host a;
  Wire wire;
  CHECK(a.ok());
  std::vector<uint8_t> handshake(100, 3);
  handshake[0] = wire::handshakeFirst;
  wire.send(a.endpoint(), handshake);
  CHECK(a.awaitDrops(DropReason::badMac1, 1));
  const size_t mac1At = handshake.size() - 32;
  const Mac1 mac1 = blake2bMac(Mac1Key{}, Bytes(handshake).first(mac1At));
  std::copy(mac1.begin(), mac1.end(), handshake.begin() + static_cast<long>(mac1At));
  wire.send(a.endpoint(), handshake);
  const auto got = a.await<DatagramUpcall>();
  CHECK(got && got->bytes == handshake && got->from == wire.endpoint());
  std::vector<uint8_t> stun(20, 0);
  stun[1] = 1;
  storeBe32(&stun[4], wire::stunCookie);
  wire.send(a.endpoint(), stun);
  CHECK(a.await<DatagramUpcall>());
  stun[4] ^= 1;
  wire.send(a.endpoint(), stun);
  CHECK(a.awaitDrops(DropReason::badField, 1));
  for (int type = 0; type < 256; type++) {
    for (const size_t bytes : {1UL, 16UL, 36UL, 44UL, 1300UL}) {
      std::vector<uint8_t> garbage(bytes, static_cast<uint8_t>(type));
      wire.send(a.endpoint(), garbage);
    }
    if (type % 16 == 15) {
      CHECK(a.awaitCount([](const Counters& c) { return c.datagramsIn; },
                         4 + 5 * (static_cast<uint64_t>(type) + 1)));
    }
  }
  wire.send(a.endpoint(), {});
  CHECK(a.awaitDrops(DropReason::unknownType, 200));
  CHECK(!a.await<DatagramUpcall>(nullptr, 20));
  // Datagrams of no session go out as they are.
  Datagram datagram;
  datagram.to = wire.endpoint();
  datagram.bytes = handshake;
  datagram.ttl = 5;
  a.apply({datagram});
  const auto sent = wire.receive();
  CHECK(sent && *sent == handshake);
}

TEST("lifetime: what cannot be opened says why") {
  Options options;
  auto opened = Engine::open(options);
  const auto* none = std::get_if<OpenError>(&opened);
  CHECK(none != nullptr && none->code == OpenErrorCode::badOption);
  options.sockets = {{ipv4(192, 0, 2, 1), 0}};  // not an address of this machine
  opened = Engine::open(options);
  const auto* unbound = std::get_if<OpenError>(&opened);
  CHECK(unbound != nullptr && unbound->code == OpenErrorCode::socket && unbound->systemError != 0);
  options.sockets = {anyLoopbackPort(), anyLoopbackPort()};
  opened = Engine::open(options);
  auto* engine = std::get_if<std::unique_ptr<Engine>>(&opened);
  CHECK(engine != nullptr && (*engine)->endpoints().size() == 2);
  CHECK((*engine)->endpoints()[0].port != 0 && (*engine)->tapName().empty());
  CHECK(!(*engine)->tapMtu() && (*engine)->setTapMtu(1400) == -ENODEV);
  options.sockets = {{ipv4(127, 0, 0, 1), (*engine)->endpoints()[0].port}};
  auto again = Engine::open(options);
  CHECK(std::get_if<OpenError>(&again) != nullptr);
  TapOptions tap;
  tap.name = "much-too-long-a-name";
  options.tap = tap;
  again = Engine::open(options);
  CHECK(std::get_if<OpenError>(&again)->code == OpenErrorCode::badOption);
}
