// Superframes: TCP segments the kernel hands over as one frame (TSO) and takes back as one.
// split(superframe) then merge gives the original; the tests hold the two to it.
//
//   SuperframeSplitter   one TAP read -> segments with their own headers, checksums left partial
//   SuperframeMerger     consecutive segments of one superframe -> one TAP write
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "commands.h"
#include "frame-parse.h"
#include "wire.h"

namespace weft {

/// Cuts one TCP superframe. Borrows the frame.
class SuperframeSplitter {
 public:
  /// Nothing when the frame is no well-formed TCP packet that fills the frame. `segmentBytes` is
  /// the payload of each segment but the last. The device's hdr_len is not asked: it cannot be
  /// trusted.
  static std::optional<SuperframeSplitter> make(Bytes frame, const FrameView& view,
                                                uint16_t segmentBytes);

  size_t count() const { return count_; }
  /// Length of segment `i` as an Ethernet frame.
  size_t bytesOf(size_t i) const;
  /// Writes segment `i` (bytesOf(i) bytes) with its lengths, IPv4 id, sequence number and flags.
  void write(size_t i, uint8_t* out) const;
  /// Descriptor of segment `i`: partial checksum, place in the superframe.
  wire::Descriptor describe(size_t i) const;

 private:
  Bytes frame_;
  FrameView view_;
  size_t headerBytes_ = 0;
  size_t segmentBytes_ = 0;
  size_t payloadBytes_ = 0;
  size_t count_ = 0;
};

/// What the merged frame needs in its virtio header.
struct MergedShape {
  size_t segments = 0;
  bool ipv6 = false;
  bool congestionReduced = false;  // CWR on the first segment
  uint16_t headerBytes = 0;
  uint16_t segmentBytes = 0;
  uint16_t checksumStart = 0;
};

/// Joins segments where they lie: the first one's header is rewritten, payloads are only pointed
/// at. The frames must stay in place until `reset`.
class SuperframeMerger {
 public:
  SuperframeMerger();

  /// Begins with this frame if it is a first segment that can be continued. Only when empty.
  bool start(std::span<uint8_t> frame, const FrameView& view, const wire::Descriptor& descriptor);
  /// Adds the next segment if it continues the superframe exactly.
  bool append(std::span<uint8_t> frame, const wire::Descriptor& descriptor);

  bool empty() const { return pieces_.empty(); }
  /// No further segment can follow.
  bool closed() const { return closed_; }
  size_t segments() const { return pieces_.size(); }
  size_t bytes() const { return headerBytes_ + payloadBytes_; }
  /// Writes the final headers into the first frame and returns its pieces in order. One segment
  /// alone is left as it came.
  std::span<const iovec> finish(MergedShape& shape);
  void reset();

 private:
  bool sameFlow(const uint8_t* next, size_t nextBytes) const;
  bool sameIp(const uint8_t* next, size_t nextBytes) const;

  std::vector<iovec> pieces_;
  uint8_t* first_ = nullptr;
  FrameView view_;
  size_t headerBytes_ = 0;
  size_t segmentBytes_ = 0;
  size_t payloadBytes_ = 0;
  uint8_t nextIndex_ = 0;
  uint8_t lastFlags_ = 0;
  bool closed_ = false;
};

}  // namespace weft
