// Frames in two halves: descriptors, ids, sizes, order and time as a peer likes.
//
//      input = repeated  | descriptor 4 | milliseconds u8 | length u16 | body |
#include "fragments.h"

#include "input.h"

using namespace weft;
using fuzz::require;

FUZZ_TARGET(input) {
  FragmentTable table;
  uint64_t nowMs = 1;
  while (!input.empty()) {
    const auto head = fuzz::copyOf(input.take(wire::descriptorBytes));
    if (head.size() < wire::descriptorBytes) return;
    nowMs += input.byte() * 8U;
    const size_t length = input.word();
    // Sizes past the input stand for themselves: zeros are as good as any body.
    auto body = fuzz::copyOf(input.take(length));
    if (length < 2 * limits::frameBytes) body.resize(length);
    wire::Descriptor descriptor;
    if (wire::parseDescriptor(head.data(), descriptor) != DropReason::none) continue;
    std::optional<JoinedFrame> joined;
    const DropReason reason = table.add(nowMs, descriptor, body, joined);
    require(table.pending() <= limits::fragmentsPending);
    if (!joined) continue;
    require(reason == DropReason::none && joined->bytes.size() <= limits::frameBytes);
    require(joined->descriptor.kind == wire::Kind::frame && joined->bytes.size() >= 2);
  }
}
