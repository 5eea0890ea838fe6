// TCP superframes: cut by any segment size, joined again, and segments that a peer made up.
//
//      input = | segment size u16 | frame |
#include "superframe.h"

#include "engine-limits.h"
#include "input.h"

using namespace weft;
using fuzz::require;

namespace {

std::vector<uint8_t> joined(std::span<const iovec> pieces) {
  std::vector<uint8_t> whole;
  for (const iovec& piece : pieces) {
    const auto* bytes = static_cast<const uint8_t*>(piece.iov_base);
    whole.insert(whole.end(), bytes, bytes + piece.iov_len);
  }
  return whole;
}

/// The payload behind the headers, which cutting and joining may rewrite.
Bytes payloadOf(Bytes frame, size_t headerBytes) { return frame.subspan(headerBytes); }

/// Segments go into one merger in order, as far as it takes them.
void mergeAgain(Bytes frame, std::vector<std::vector<uint8_t>>& segments,
                const SuperframeSplitter& splitter) {
  SuperframeMerger merger;
  FrameView view;
  if (parseFrame(segments[0], view) != DropReason::none) return;
  if (!merger.start(segments[0], view, splitter.describe(0))) return;
  size_t taken = 1;
  while (taken < segments.size() && !merger.closed() &&
         merger.append(segments[taken], splitter.describe(taken))) {
    taken++;
  }
  require(merger.segments() == taken && taken <= 256);
  MergedShape shape;
  const std::vector<uint8_t> whole = joined(merger.finish(shape));
  require(whole.size() == merger.bytes() && whole.size() >= shape.headerBytes);
  const Bytes got = payloadOf(whole, shape.headerBytes);
  require(std::equal(got.begin(), got.end(), payloadOf(frame, shape.headerBytes).begin()));
}

}  // namespace

FUZZ_TARGET(input) {
  const uint16_t segmentBytes = input.word();
  const auto frame = fuzz::copyOf(input.rest());
  FrameView view;
  if (parseFrame(frame, view) != DropReason::none) return;
  const auto splitter = SuperframeSplitter::make(frame, view, segmentBytes);
  if (!splitter || splitter->count() > 256) return;
  std::vector<std::vector<uint8_t>> segments;
  for (size_t i = 0; i < splitter->count(); i++) {
    std::vector<uint8_t> segment(splitter->bytesOf(i));
    splitter->write(i, segment.data());
    segments.push_back(std::move(segment));
  }
  mergeAgain(frame, segments, *splitter);
}
