// Writes opened frames into the TAP, joining segments of one superframe into one write. Lives in
// the RX thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "commands.h"
#include "counters.h"
#include "frame-parse.h"
#include "superframe.h"
#include "tap.h"
#include "vnet-header.h"
#include "wire.h"

namespace weft {

class TapWriter {
 public:
  /// `tap` is nullptr without one: frames are then counted as tapError.
  TapWriter(Tap* tap, ThreadCounters& counters) : tap_(tap), counters_(counters) {}

  /// Joins the frame to the superframe under construction if it continues that one of the same
  /// session. Its headers equal the first segment's, which was filtered: it needs no look of its
  /// own.
  bool tryAppend(SessionId session, const wire::Descriptor& descriptor, std::span<uint8_t> frame);
  /// Writes the frame or begins a superframe with it. The bytes must stay until `flush`; headers
  /// may be rewritten in place. `descriptor` was checked against `view`.
  void add(SessionId session, const wire::Descriptor& descriptor, std::span<uint8_t> frame,
           const FrameView& view);
  /// A frame whose checksums are complete.
  void addPlain(Bytes frame);
  void flush();

 private:
  bool mayMerge(const FrameView& view) const;
  void writeSingle(const wire::Descriptor& descriptor, std::span<uint8_t> frame);
  void writeMerged();
  void writeSegments(std::span<const iovec> pieces, const MergedShape& shape);
  ssize_t writePieces(const VnetHeader& vnet, std::span<const iovec> pieces);
  void settle(ssize_t result);

  Tap* tap_;
  ThreadCounters& counters_;
  SuperframeMerger merger_;
  SessionId session_ = 0;
  wire::Descriptor first_;
  bool refused_ = false;  // the kernel took a segment but not a superframe
  std::vector<iovec> pieces_;
};

}  // namespace weft
