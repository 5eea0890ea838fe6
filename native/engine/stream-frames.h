// Datagrams in a byte stream:  length u16, little endian | datagram.  No length is trusted.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "bytes.h"
#include "engine-limits.h"

namespace weft {

inline constexpr size_t streamLengthBytes = 2;

/// The reading side of one stream: remembers the part of a datagram that came without its end.
class StreamFrames {
 public:
  /// Puts what the last `split` left over at the front of `buffer`.
  /// @param buffer at least limits::streamReadBytes   @returns how many bytes that are
  size_t begin(std::span<uint8_t> buffer) const {
    if (!partial_.empty()) std::memcpy(buffer.data(), partial_.data(), partial_.size());
    return partial_.size();
  }

  /// Calls `each(std::span<uint8_t>)` for every whole datagram in `bytes` and keeps the rest.
  /// False when a length cannot be one: the stream is of no use then.
  template <typename Each>
  bool split(std::span<uint8_t> bytes, Each each) {
    size_t at = 0;
    while (bytes.size() - at >= streamLengthBytes) {
      const size_t length = loadLe<uint16_t>(&bytes[at]);
      if (length == 0 || length > limits::streamDatagramBytes) return false;
      if (bytes.size() - at - streamLengthBytes < length) break;
      each(bytes.subspan(at + streamLengthBytes, length));
      at += streamLengthBytes + length;
    }
    partial_.assign(bytes.begin() + static_cast<long>(at), bytes.end());
    return true;
  }

 private:
  std::vector<uint8_t> partial_;  // less than one datagram with its length
};

}  // namespace weft
