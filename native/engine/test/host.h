// An engine with a TAP made of a socket pair, and what tests do with it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "engine.h"
#include "frames.h"
#include "harness.h"
#include "vnet-header.h"

namespace weft::test {

/// Key material of one session between two hosts, from the first one's side.
struct KeyPair {
  std::vector<uint8_t> forth;  // 32 + 4 bytes
  std::vector<uint8_t> back;
  ReceiverIndex hereReceive = 0;
  ReceiverIndex thereReceive = 0;
  Cipher cipher = Cipher::aes256gcm;

  static KeyPair make(uint64_t seed, Cipher cipher = Cipher::aes256gcm);
  /// The command for the first side, or for the second one. Borrows from this object.
  Keys forFirst(SessionId session, KeyUse use) const;
  Keys forSecond(SessionId session, KeyUse use) const;
};

struct TapRead {
  VnetHeader vnet;
  Frame frame;
};

struct HostOptions {
  bool vnetHeader = true;
  bool superframes = true;
  OffloadOptions offloads;
};

class Host {
 public:
  explicit Host(const HostOptions& options = {});
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  bool ok() const { return engine_ != nullptr; }
  Engine& engine() { return *engine_; }
  Endpoint endpoint() const { return engine_->endpoints()[0]; }
  void apply(const std::vector<Command>& commands) { engine_->apply(commands); }

  /// Gives a frame to the TAP, as the kernel would.
  void inject(const Frame& frame, const VnetHeader& vnet = {});
  /// The next frame the engine wrote; nothing after `timeoutMs`.
  std::optional<TapRead> readTap(int timeoutMs = 2000);
  /// Drains until an upcall of type T that `matches` came; keeps the others for later calls.
  template <typename T>
  std::optional<T> await(std::function<bool(const T&)> matches = nullptr, int timeoutMs = 2000);
  /// Waits until a counter has at least that value.
  bool awaitDrops(DropReason reason, uint64_t count, int timeoutMs = 2000);
  bool awaitCount(const std::function<uint64_t(const Counters&)>& of, uint64_t count,
                  int timeoutMs = 2000);
  int tapFd() const { return tapFd_; }
  void closeTap();

 private:
  bool pump(int timeoutMs);

  std::unique_ptr<Engine> engine_;
  HostOptions options_;
  int tapFd_ = -1;
  int doorbell_ = -1;
  std::vector<Upcall> upcalls_;
};

/// A bare UDP socket on loopback that plays a stranger, or the wire between two engines.
class Wire {
 public:
  Wire();
  ~Wire();
  Endpoint endpoint() const { return endpoint_; }
  void send(const Endpoint& to, Bytes datagram);
  std::optional<std::vector<uint8_t>> receive(int timeoutMs = 2000);

 private:
  int fd_ = -1;
  Endpoint endpoint_;
};

Endpoint loopback(uint16_t port);
SocketOptions anyLoopbackPort();

/// Commands that open session `id` of `here` towards `there`: keys, path 0 active.
void openSession(Host& host, SessionId id, const Keys& keys, const Endpoint& peer,
                 uint16_t maxDatagram = 1500);
/// Both sides of a session with id 1: macA behind `a`, macB behind `b`, filters and forwards set.
void join(Host& a, Host& b, const KeyPair& keys, uint16_t maxDatagram = 1500);
Filter filterFor(SessionId session, const Mac& mac, const std::vector<Ip>& ips);
Path directPath(SessionId session, PathIndex index, const Endpoint& to,
                uint16_t maxDatagram = 1500);
Forward forwardTo(const Mac& mac, SessionId session);
Forward forwardLocal(const Mac& mac);

inline const Ip ipOfA = ipv4(10, 7, 0, 1);
inline const Ip ipOfB = ipv4(10, 7, 0, 2);
/// A frame from A to B and back.
Frame frameAB(Bytes payload);
Frame frameBA(Bytes payload);

uint64_t testClockMs();

template <typename T>
std::optional<T> Host::await(std::function<bool(const T&)> matches, int timeoutMs) {
  const uint64_t deadline = testClockMs() + static_cast<uint64_t>(patience(timeoutMs));
  while (true) {
    for (size_t i = 0; i < upcalls_.size(); i++) {
      const T* found = std::get_if<T>(&upcalls_[i]);
      if (found == nullptr || (matches && !matches(*found))) continue;
      T taken = *found;
      upcalls_.erase(upcalls_.begin() + static_cast<long>(i));
      return taken;
    }
    const uint64_t now = testClockMs();
    if (now >= deadline || !pump(static_cast<int>(deadline - now))) return std::nullopt;
  }
}

}  // namespace weft::test
