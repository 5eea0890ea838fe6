// weft::Engine: the data plane behind src/base/engine.ts. It owns UDP sockets, a TAP and two data
// threads; it obeys the tables that commands write and decides nothing.
//
//      apply(commands) ---> tables ----> TX thread   TAP -> classify -> seal -> UDP
//                       \-> send queue --^
//      drain(upcalls) <--- ring <------- RX thread   UDP -> open -> filter -> TAP, relays
//                          doorbell
//
// apply, drain, counters and close are called from one thread at a time (the owner, a JS thread).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "commands.h"
#include "drop-reason.h"
#include "open-error.h"
#include "tap.h"
#include "upcalls.h"

namespace weft {

/// A UDP socket to bind. `port` 0 = any; Engine::endpoints() tells which.
struct SocketOptions {
  Ip ip;  // all zeros = every address of the family
  uint16_t port = 0;
};

/// No TAP: frames come and go only through commands.
struct NoTap {};
/// A TAP, or any descriptor that keeps packet borders, opened elsewhere. The engine owns it from
/// the call of open() on, also when open() fails.
struct TapDescriptor {
  int fd = -1;
  bool vnetHeader = true;
  /// What the opener enabled with TUNSETOFFLOAD.
  TapOffloads offloads;
};

/// Which kernel offloads may be used. Each is probed at start as well; a refused one is left off.
struct OffloadOptions {
  bool tapSuperframes = true;  // TUNSETOFFLOAD(CSUM, TSO4, TSO6)
  bool udpSegment = true;      // UDP_SEGMENT on send
  bool udpGro = true;          // UDP_GRO on receive
};

struct Options {
  /// At least one, at most limits::fixedSockets.
  std::vector<SocketOptions> sockets;
  /// TapOptions: the engine opens it; `vnetHeader` and `offloads` are set by the engine.
  std::variant<NoTap, TapOptions, TapDescriptor> tap;
  /// Key of mac1 (BLAKE2b-128) on handshake datagrams.
  std::array<uint8_t, 32> mac1Key{};
  /// Datagrams that begin with 'd', as those of the BitTorrent DHT do (bencode), come up too.
  bool bencode = false;
  /// Called from a data thread, at most once until the next drain(). It must not block and must not
  /// call into the engine. It is never called after close() returned.
  void (*doorbell)(void*) = nullptr;
  void* doorbellContext = nullptr;
  OffloadOptions offloads;
};

/// Totals since open. `dropped` is indexed by DropReason.
struct Counters {
  std::array<uint64_t, dropReasons> dropped{};
  uint64_t datagramsIn = 0;
  uint64_t datagramsOut = 0;
  uint64_t bytesIn = 0;
  uint64_t bytesOut = 0;
  uint64_t tapFramesIn = 0;
  uint64_t tapFramesOut = 0;
  uint64_t relayedDatagrams = 0;

  uint64_t of(DropReason reason) const { return dropped[static_cast<size_t>(reason)]; }
};

class Engine {
 public:
  /// Opens sockets and TAP and starts the data threads. Nothing is left open on failure.
  static Opened<std::unique_ptr<Engine>> open(const Options& options);

  ~Engine();  // closes
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Commands take effect in order; one that names something unknown or passes a limit is ignored
  /// and counted. Never blocks on the network.
  void apply(std::span<const Command> commands);
  /// Appends what came up since the last call, oldest first, and re-arms the doorbell.
  void drain(std::vector<Upcall>& into);
  Counters counters() const;
  /// Stops the threads and closes sockets and TAP; a persistent TAP stays. Safe in every state and
  /// twice; afterwards apply is ignored, drain yields nothing and counters keep their last values.
  void close();

  /// Bound addresses, one for each of Options::sockets, in that order.
  const std::vector<Endpoint>& endpoints() const;
  /// Name of the TAP; empty without one or with a foreign descriptor.
  const std::string& tapName() const;
  /// The TAP's MTU and hardware address; nothing without a real TAP.
  std::optional<uint32_t> tapMtu() const;
  std::optional<Mac> tapMac() const;
  /// 0 or -errno; -ENODEV without a TAP.
  int setTapMtu(uint32_t mtu);
  /// What the probes at start left on.
  OffloadOptions offloads() const;

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
