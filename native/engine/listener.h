// The TCP port that streams are accepted on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "address.h"

namespace weft {

/// A listening TCP descriptor, closed with its last owner.
class Listener {
 public:
  /// Binds `port` in one family. Null with errno set when that fails.
  static std::shared_ptr<Listener> open(Family family, uint16_t port);
  ~Listener();
  int fd() const { return fd_; }

 private:
  explicit Listener(int fd) : fd_(fd) {}
  int fd_;
};

/// One for IPv4 and one for IPv6; a machine may lack either.
using Listeners = std::array<std::shared_ptr<Listener>, 2>;

}  // namespace weft
