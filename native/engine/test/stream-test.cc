// Streams: framing, proxy answers, what strangers may cost, and engines that talk over them.
#include <sys/resource.h>
#include <unistd.h>

#include "accept-limits.h"
#include "bytes.h"
#include "harness.h"
#include "host.h"
#include "http-connect.h"
#include "listener.h"
#include "stream-frames.h"
#include "tls-session.h"

namespace {

using namespace weft;
using namespace weft::test;

constexpr SocketIndex streamIndex = 9;

std::vector<uint8_t> framed(const std::vector<std::vector<uint8_t>>& datagrams) {
  std::vector<uint8_t> bytes;
  for (const auto& datagram : datagrams) {
    uint8_t length[streamLengthBytes];
    storeLe(length, static_cast<uint16_t>(datagram.size()));
    bytes.insert(bytes.end(), length, length + streamLengthBytes);
    bytes.insert(bytes.end(), datagram.begin(), datagram.end());
  }
  return bytes;
}

/// Gives `bytes` in pieces of random size; false when the stream was given up.
bool feed(StreamFrames& frames, const std::vector<uint8_t>& bytes, Random& random,
          std::vector<std::vector<uint8_t>>& into) {
  std::vector<uint8_t> buffer(limits::streamReadBytes + limits::streamDatagramBytes + 2);
  for (size_t at = 0; at < bytes.size();) {
    const size_t kept = frames.begin(buffer);
    const size_t most = random.below(2) == 0 ? 5 : 20'000;
    const size_t piece = std::min<size_t>(1 + random.below(most), bytes.size() - at);
    std::copy_n(bytes.begin() + static_cast<long>(at), piece,
                buffer.begin() + static_cast<long>(kept));
    at += piece;
    const auto keep = [&into](std::span<uint8_t> each) {
      into.emplace_back(each.begin(), each.end());
    };
    if (!frames.split({buffer.data(), kept + piece}, keep)) return false;
  }
  return true;
}

uint16_t freeTcpPort(Host& host) {
  for (uint16_t port = 20'000 + static_cast<uint16_t>(testClockMs() % 10'000);; port++) {
    if (Listener::open(Family::v4, port) == nullptr) continue;
    host.apply({StreamListen{port}});
    if (host.await<ListeningUpcall>()) return port;
  }
}

struct Ends {
  Endpoint listening;
  Endpoint connecting;
  SocketIndex accepted = 0;
};

/// A stream from a (index 9) to b.
std::optional<Ends> streamBetween(Host& a, Host& b) {
  Ends ends;
  ends.listening = loopback(freeTcpPort(b));
  a.apply({StreamOpen{streamIndex, ends.listening, {}}});
  const auto opened = a.await<SocketOpenedUpcall>();
  const auto accepted = b.await<SocketOpenedUpcall>();
  if (!opened || !accepted || !accepted->from) return std::nullopt;
  ends.connecting = *accepted->from;
  ends.accepted = accepted->socket;
  if (ends.connecting.port != opened->port) return std::nullopt;
  return ends;
}

Path streamPath(SocketIndex socket, const Endpoint& to) {
  Path path = directPath(1, 0, to);
  path.to = DirectTarget{socket, to};
  return path;
}

/// `join`, then the session's path goes over the stream.
void joinOver(Host& a, Host& b, const Ends& ends, const KeyPair& keys) {
  join(a, b, keys);
  a.apply({streamPath(streamIndex, ends.listening)});
  b.apply({streamPath(ends.accepted, ends.connecting)});
}

}  // namespace

TEST("stream: datagrams keep their borders however the bytes come") {
  Random random(1);
  for (int round = 0; round < 200; round++) {
    std::vector<std::vector<uint8_t>> sent(1 + random.below(20));
    for (auto& each : sent) {
      const size_t most = random.below(4) == 0 ? limits::streamDatagramBytes : 99;
      each = random.bytes(1 + random.below(most));
    }
    StreamFrames frames;
    std::vector<std::vector<uint8_t>> received;
    CHECK(feed(frames, framed(sent), random, received));
    CHECK(received == sent);
  }
}

TEST("stream: random bytes end in a length that cannot be, and never overrun") {
  Random random(2);
  size_t refused = 0;
  for (int round = 0; round < 300; round++) {
    StreamFrames frames;
    std::vector<std::vector<uint8_t>> received;
    if (!feed(frames, random.bytes(100'000), random, received)) refused++;
    for (const auto& each : received) CHECK(each.size() <= limits::streamDatagramBytes);
  }
  CHECK_EQ(refused, 300);
  for (const size_t length : {size_t{0}, limits::streamDatagramBytes + 1, size_t{65'535}}) {
    StreamFrames frames;
    std::vector<uint8_t> bytes(4);
    storeLe(bytes.data(), static_cast<uint16_t>(length));
    CHECK(!frames.split(bytes, [](std::span<uint8_t>) {}));
  }
}

TEST("stream: a proxy is asked for an address and its answer read to the byte") {
  const Endpoint v4{{192, 0, 2, 1}, Family::v4, 443};
  CHECK(connectRequest(v4, "") == "CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n");
  Endpoint v6;
  v6.family = Family::v6;
  v6.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  v6.port = 8443;
  CHECK(connectRequest(v6, "Basic YTpi") ==
        "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n"
        "Proxy-Authorization: Basic YTpi\r\n\r\n");
  const std::string open = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
  for (size_t length = 0; length < open.size(); length++) {
    CHECK(judgeConnectAnswer(open.substr(0, length)) == ConnectAnswer::incomplete);
  }
  CHECK(judgeConnectAnswer(open) == ConnectAnswer::open);
  CHECK(judgeConnectAnswer(open + "x") == ConnectAnswer::malformed);
  CHECK(judgeConnectAnswer("HTTP/1.0 407 Who?\r\n\r\n") == ConnectAnswer::wantsAuthorization);
  CHECK(judgeConnectAnswer("HTTP/1.1 403 No\r\n\r\n") == ConnectAnswer::refused);
  CHECK(judgeConnectAnswer("HTTP/1.1 100 Continue\r\n\r\n") == ConnectAnswer::refused);
  CHECK(judgeConnectAnswer("SSH-2.0-x\r\n\r\n") == ConnectAnswer::malformed);
  CHECK(judgeConnectAnswer("HTTP/1.1 2x0\r\n\r\n") == ConnectAnswer::malformed);
  CHECK(judgeConnectAnswer(std::string(limits::proxyAnswerBytes, 'a')) ==
        ConnectAnswer::malformed);
}

TEST("stream: strangers may make us accept so many a second, each source fewer") {
  AcceptLimits limits;
  size_t admitted = 0;
  for (uint64_t ms = 10'000; ms < 12'000; ms++) {
    if (limits.admits(ms, {{192, 0, 2, 1}, Family::v4, 1})) admitted++;
  }
  CHECK_EQ(admitted, 3 * limits::streamAcceptsPerSourceSecond);
  for (uint64_t ms = 20'000; ms < 21'000; ms++) {
    Endpoint from{{198, 51, 100, static_cast<uint8_t>(ms % 200)}, Family::v4, 1};
    for (int i = 0; i < 3; i++) admitted += limits.admits(ms, from) ? 1 : 0;
  }
  CHECK(admitted <=
        3 * limits::streamAcceptsPerSourceSecond + 2 * limits::streamAcceptsPerSecond + 1);
  CHECK(admitted >= 2 * limits::streamAcceptsPerSecond);
}

TEST("stream: one address has a quarter of the places, and strangers make way for others") {
  using Room = StreamRoom;
  CHECK(roomFor({}) == Room::free);
  CHECK(roomFor({limits::streamsPerSource - 1, 0, 0}) == Room::free);
  CHECK(roomFor({limits::streamsPerSource, 0, 0}) == Room::none);
  CHECK(4 * limits::streamsPerSource <= limits::sockets - limits::acceptedStreams);
  CHECK(roomFor({8, limits::streamsUnproven - 1, 7}) == Room::free);
  CHECK(roomFor({8, limits::streamsUnproven, 7}) == Room::oldestUnproven);
  CHECK(roomFor({8, limits::streamsUnproven, limits::streamsUnprovenPerSource}) == Room::none);
}

TEST("stream: a member that opens one after the other holds four places, its last ones") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  join(a, b, KeyPair::make(73));
  const Endpoint listening = loopback(freeTcpPort(b));
  const std::vector<uint8_t> bytes = {1, 2, 3};
  constexpr size_t streams = limits::streamsPerSession + 2;
  std::vector<SocketIndex> accepted;
  for (size_t i = 0; i < streams; i++) {
    const auto socket = static_cast<SocketIndex>(streamIndex + i);
    a.apply({StreamOpen{socket, listening, {}}});
    CHECK(a.await<SocketOpenedUpcall>().has_value());
    const auto opened = b.await<SocketOpenedUpcall>();
    CHECK(opened.has_value());
    accepted.push_back(opened->socket);
    Path path = streamPath(socket, listening);
    path.path = static_cast<PathIndex>(1 + i);
    Control control;
    control.session = 1;
    control.path = path.path;
    control.bytes = bytes;
    a.apply({path, control});
    CHECK(b.await<ControlUpcall>().has_value());
    if (i < limits::streamsPerSession) continue;
    const auto closed = b.await<SocketClosedUpcall>();
    CHECK(closed && closed->socket == accepted[i - limits::streamsPerSession]);
    CHECK(a.await<SocketClosedUpcall>().has_value());
  }
  CHECK_EQ(b.engine().counters().of(DropReason::streamFull), 2);
}

TEST("stream: engines exchange frames and superframes over TLS") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  CHECK(tlsAvailable());
  const auto ends = streamBetween(a, b);
  CHECK(ends.has_value());
  joinOver(a, b, *ends, KeyPair::make(70));
  const uint64_t before = b.engine().counters().datagramsIn;
  for (size_t size = 0; size < 1400; size += 7) {
    const Frame there = frameAB(std::vector<uint8_t>(size, static_cast<uint8_t>(size)));
    const Frame back = frameBA(std::vector<uint8_t>(size, static_cast<uint8_t>(size)));
    a.inject(there);
    b.inject(back);
    const auto atB = b.readTap(), atA = a.readTap();
    CHECK(atA && atB);
    CHECK(atB->frame == there);
    CHECK(atA->frame == back);
  }
  CHECK_EQ(b.engine().counters().datagramsIn - before, 200);
}

TEST("stream: a burst past the buffer is dropped and counted, what follows passes") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  const auto ends = streamBetween(a, b);
  CHECK(ends.has_value());
  const std::vector<uint8_t> bytes(limits::streamDatagramBytes, 192);
  Datagram datagram;
  datagram.socket = streamIndex;
  datagram.to = ends->listening;
  datagram.bytes = bytes;
  // b reads nearly as fast as a writes: only a burst overruns the buffer.
  const std::vector<Command> burst(200, Command(datagram));
  for (int i = 0; i < 20 && a.engine().counters().of(DropReason::streamFull) == 0; i++) {
    a.apply(burst);
  }
  CHECK(a.awaitDrops(DropReason::streamFull, 1));
  CHECK(b.awaitDrops(DropReason::badMac1, 20));
  const auto keys = KeyPair::make(71);
  joinOver(a, b, *ends, keys);
  a.inject(frameAB({}));
  CHECK(b.readTap().has_value());
}

TEST("stream: connections wait while descriptors are short, and cost no turn meanwhile") {
  Host a, b;
  CHECK(a.ok() && b.ok());
  const Endpoint to = loopback(freeTcpPort(b));
  rlimit usual{};
  CHECK_EQ(getrlimit(RLIMIT_NOFILE, &usual), 0);
  const int next = dup(0);
  close(next);
  // One more: a's side of the connection has it, b's side finds none.
  const rlimit tight{static_cast<rlim_t>(next) + 1, usual.rlim_max};
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  a.apply({StreamOpen{streamIndex, to, {}}});
  const bool refused = b.awaitDrops(DropReason::socketError, 1);
  usleep(200'000);
  const uint64_t tries = b.engine().counters().of(DropReason::socketError);
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &usual), 0);
  CHECK(refused);
  CHECK(tries <= 2);
  CHECK(b.await<SocketOpenedUpcall>(nullptr, 4'000).has_value());
}

TEST("stream: ends under traffic in every order") {
  for (int round = 0; round < 12; round++) {
    Host a, b;
    CHECK(a.ok() && b.ok());
    const auto ends = streamBetween(a, b);
    CHECK(ends.has_value());
    joinOver(a, b, *ends, KeyPair::make(72));
    for (int i = 0; i < 50; i++) a.inject(frameAB(std::vector<uint8_t>(1300, 1)));
    if (round % 4 == 0) a.apply({SocketClose{streamIndex}});
    if (round % 4 == 1) b.apply({SocketClose{ends->accepted}});
    if (round % 4 == 2) b.engine().close();
    if (round % 4 == 3) a.engine().close();
    for (int i = 0; i < 50 && round % 4 != 3; i++) a.inject(frameAB(std::vector<uint8_t>(1300, 1)));
    if (round % 4 == 0) CHECK(b.await<SocketClosedUpcall>().has_value());
    if (round % 4 == 1) CHECK(a.await<SocketClosedUpcall>().has_value());
    if (round % 4 == 2) CHECK(a.await<SocketClosedUpcall>().has_value());
    if (round % 4 != 1) continue;
    a.inject(frameAB({}));
    CHECK(a.awaitDrops(DropReason::noSocket, 1));
  }
}
