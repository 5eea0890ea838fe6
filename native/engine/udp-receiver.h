// Reads datagrams in the largest batches the kernel gives: one coalesced buffer with UDP_GRO, else
// recvmmsg.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "udp-socket.h"

namespace weft {

/// Datagrams of one sender side by side: `segmentBytes` each, the last may be shorter.
struct Received {
  Endpoint from;
  std::span<uint8_t> bytes;
  size_t segmentBytes = 0;
  bool truncated = false;  // larger than the buffer
};

class UdpReceiver {
 public:
  UdpReceiver();
  /// One read of the socket; empty when nothing is there. The bytes live until the next call.
  /// `error` gets the errno of a failure that is not "nothing there".
  std::span<const Received> receive(const UdpSocket& socket, int& error);

 private:
  std::span<const Received> receiveCoalesced(int fd, int& error);
  std::span<const Received> receiveMany(int fd, int& error);

  std::unique_ptr<uint8_t[]> buffer_;
  std::vector<Received> received_;
};

}  // namespace weft
