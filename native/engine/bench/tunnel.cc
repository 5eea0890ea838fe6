// Two engines with fixed keys and no core: what the data plane alone can carry.
//
//      tunnel a|b TAP LISTEN_IP PORT PEER_IP MAX_DATAGRAM [chacha] [acl] [no-tso] [no-gso] [no-gro]
//
// Side a is 02:00:00:00:00:0a with 10.77.0.1, side b is 02:00:00:00:00:0b with 10.77.0.2;
// neighbours are static (bench/tunnel.sh sets them), so no broadcast is needed. With `acl` side b
// lets iperf3 and ping in by the last of 256 rules, side a nothing but answers. Ends on SIGTERM
// with its counters.
#include <arpa/inet.h>
#include <signal.h>
#include <string.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "engine.h"

namespace {

using namespace weft;

constexpr SessionId session = 1;

struct Arguments {
  bool sideA = false;
  std::string tap;
  Endpoint local;
  Endpoint peer;
  uint16_t maxDatagram = 0;
  bool chacha = false;
  bool acl = false;
  OffloadOptions offloads;
};

Endpoint endpointFrom(const char* ip, uint16_t port) {
  Endpoint endpoint;
  endpoint.port = port;
  inet_pton(AF_INET, ip, endpoint.ip.data());
  return endpoint;
}

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  arguments.sideA = strcmp(argv[1], "a") == 0;
  arguments.tap = argv[2];
  const auto port = static_cast<uint16_t>(std::atoi(argv[4]));
  arguments.local = endpointFrom(argv[3], port);
  arguments.peer = endpointFrom(argv[5], port);
  arguments.maxDatagram = static_cast<uint16_t>(std::atoi(argv[6]));
  for (int i = 7; i < argc; i++) {
    if (strcmp(argv[i], "chacha") == 0) arguments.chacha = true;
    if (strcmp(argv[i], "acl") == 0) arguments.acl = true;
    if (strcmp(argv[i], "no-tso") == 0) arguments.offloads.tapSuperframes = false;
    if (strcmp(argv[i], "no-gso") == 0) arguments.offloads.udpSegment = false;
    if (strcmp(argv[i], "no-gro") == 0) arguments.offloads.udpGro = false;
  }
  return arguments;
}

Acl rulesOf(const Arguments& arguments) {
  Acl acl;
  acl.session = session;
  AclPolicy& policy = acl.policy.emplace();
  if (arguments.sideA) return acl;
  for (uint16_t i = 0; i + 3 < 256; i++) {
    const auto port = static_cast<uint16_t>(10'000 + 100 * i);
    policy.rules.push_back({i % 2 == 0, uint8_t{6}, {{port, static_cast<uint16_t>(port + 50)}}});
  }
  policy.rules.push_back({true, uint8_t{6}, {{5201, 5201}}});
  policy.rules.push_back({true, uint8_t{17}, {{5201, 5201}}});
  policy.rules.push_back({true, uint8_t{1}, {}});
  return acl;
}

/// Both directions from fixed bytes: for measuring only.
void openSession(Engine& engine, const Arguments& arguments) {
  const std::vector<uint8_t> material[2] = {std::vector<uint8_t>(36, 0x41),
                                            std::vector<uint8_t>(36, 0x42)};
  const Bytes mine = material[arguments.sideA ? 0 : 1];
  const Bytes theirs = material[arguments.sideA ? 1 : 0];
  Keys keys;
  keys.session = session;
  keys.receive = arguments.sideA ? 0xa : 0xb;
  keys.send = arguments.sideA ? 0xb : 0xa;
  keys.cipher = arguments.chacha ? Cipher::chacha20poly1305 : Cipher::aes256gcm;
  keys.sealing = {mine.first(32), mine.subspan(32)};
  keys.opening = {theirs.first(32), theirs.subspan(32)};
  keys.rejectAfterMs = UINT64_MAX;
  Path path;
  path.session = session;
  path.to = DirectTarget{0, arguments.peer};
  path.maxDatagram = arguments.maxDatagram;
  const Mac macs[2] = {{2, 0, 0, 0, 0, 0x0a}, {2, 0, 0, 0, 0, 0x0b}};
  Forward out;
  out.mac = macs[arguments.sideA ? 1 : 0];
  out.to = session;
  out.ttlMs = UINT64_MAX;
  Forward in = out;
  in.mac = macs[arguments.sideA ? 0 : 1];
  in.to = ForwardLocal{};
  const uint8_t peerIp[4] = {10, 77, 0, static_cast<uint8_t>(arguments.sideA ? 2 : 1)};
  Filter filter;
  filter.session = session;
  filter.entries = {{out.mac, {ipv4At(peerIp)}}};
  const std::vector<Command> commands = {SessionOpen{session}, keys, path, PathActive{session, 0},
                                         out, in, filter};
  engine.apply(commands);
  if (arguments.acl) engine.apply(std::vector<Command>{rulesOf(arguments)});
}

void printCounters(const Counters& counters) {
  std::printf("in %lu datagrams, out %lu datagrams, TAP in %lu, TAP out %lu\n",
              counters.datagramsIn, counters.datagramsOut, counters.tapFramesIn,
              counters.tapFramesOut);
  for (size_t i = 0; i < dropReasons; i++) {
    if (counters.dropped[i] == 0) continue;
    std::printf("dropped %s %lu\n", dropReasonNames[i].data(), counters.dropped[i]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr, "usage: tunnel a|b TAP LISTEN_IP PORT PEER_IP MAX_DATAGRAM [switches]\n");
    return 2;
  }
  const Arguments arguments = parse(argc, argv);
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  sigprocmask(SIG_BLOCK, &ends, nullptr);

  Options options;
  options.sockets = {{Ip{arguments.local.ip, Family::v4}, arguments.local.port}};
  TapOptions tap;
  tap.name = arguments.tap;
  tap.mac = Mac{2, 0, 0, 0, 0, static_cast<uint8_t>(arguments.sideA ? 0x0a : 0x0b)};
  options.tap = tap;
  options.offloads = arguments.offloads;
  auto opened = Engine::open(options);
  if (const auto* error = std::get_if<OpenError>(&opened)) {
    std::fprintf(stderr, "%s\n", error->message.c_str());
    return 1;
  }
  Engine& engine = **std::get_if<std::unique_ptr<Engine>>(&opened);
  openSession(engine, arguments);
  const OffloadOptions on = engine.offloads();
  std::printf("tso %d, udp gso %d, udp gro %d\n", on.tapSuperframes, on.udpSegment, on.udpGro);
  std::fflush(stdout);
  int signal = 0;
  sigwait(&ends, &signal);
  printCounters(engine.counters());
  engine.close();
  return 0;
}
