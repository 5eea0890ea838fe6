// All sockets as one data thread sees them. Each thread has its own table and keeps what is in it
// alive, so a socket that one thread has closed cannot vanish under the other.
#pragma once

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "commands.h"
#include "engine-limits.h"
#include "stream.h"
#include "udp-socket.h"

namespace weft {

/// A socket beyond those given at open; at most one of both is set.
struct ExtraSocket {
  std::shared_ptr<const UdpSocket> udp;
  std::shared_ptr<Stream> stream;

  explicit operator bool() const { return udp != nullptr || stream != nullptr; }
  bool operator==(const ExtraSocket&) const = default;
};

class SocketTable {
 public:
  /// @param fixed the sockets given at open; they outlive the table
  explicit SocketTable(std::span<const UdpSocket> fixed)
      : fixed_(fixed), extra_(limits::sockets) {}

  std::span<const UdpSocket> fixed() const { return fixed_; }

  /// Null when the index names no UDP socket.
  const UdpSocket* udp(SocketIndex index) const {
    if (index < fixed_.size()) return &fixed_[index];
    return index < extra_.size() ? extra_[index].udp.get() : nullptr;
  }

  /// Null when the index names no stream.
  Stream* stream(SocketIndex index) const {
    return index < extra_.size() ? extra_[index].stream.get() : nullptr;
  }

  /// Empty when nothing was opened there.
  ExtraSocket extra(SocketIndex index) const {
    return index < extra_.size() ? extra_[index] : ExtraSocket{};
  }

  void set(SocketIndex index, ExtraSocket socket) {
    if (index < extra_.size()) extra_[index] = std::move(socket);
  }

  ExtraSocket take(SocketIndex index) {
    return index < extra_.size() ? std::exchange(extra_[index], {}) : ExtraSocket{};
  }

  void clear() { extra_.assign(extra_.size(), {}); }

 private:
  std::span<const UdpSocket> fixed_;
  std::vector<ExtraSocket> extra_;  // the slots of fixed ones stay empty
};

}  // namespace weft
