// A bound, non-blocking UDP socket that never lets the kernel fragment or cache path MTUs: sizes
// are the core's business.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <span>

#include "address.h"
#include "open-error.h"

namespace weft {

/// An Endpoint in the form the kernel wants.
struct SocketAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t bytes = 0;
};

SocketAddress toSocketAddress(const Endpoint& endpoint);
Endpoint fromSocketAddress(const SocketAddress& address);

class UdpSocket {
 public:
  /// @param ip all zeros = every address of its family   @param port 0 = any
  static Opened<UdpSocket> open(const Ip& ip, uint16_t port, bool wantGro);

  UdpSocket() = default;
  UdpSocket(UdpSocket&& other) noexcept;
  UdpSocket& operator=(UdpSocket&& other) noexcept;
  ~UdpSocket() { close(); }

  int fd() const { return fd_; }
  const Endpoint& bound() const { return bound_; }
  /// UDP_GRO was wanted and granted.
  bool coalesces() const { return coalesces_; }
  void close();

 private:
  int fd_ = -1;
  Endpoint bound_;
  bool coalesces_ = false;
};

/// Whether this kernel knows UDP_SEGMENT.
bool kernelHasUdpSegment();

}  // namespace weft
