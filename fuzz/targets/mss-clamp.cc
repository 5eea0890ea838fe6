// The MSS option of a SYN: found among options of any length, lowered, and nothing else touched.
#include "mss-clamp.h"

#include "input.h"

using namespace weft;
using fuzz::require;

FUZZ_TARGET(input) {
  MssLimit limit;
  limit.frameRoom = input.word();
  limit.partialChecksum = (input.byte() & 1) != 0;
  const auto before = fuzz::copyOf(input.rest());
  auto frame = before;
  FrameView view;
  if (parseFrame(frame, view) != DropReason::none) return;
  const bool changed = clampMss(frame, view, limit);
  require(frame.size() == before.size());
  size_t differing = 0;
  for (size_t i = 0; i < frame.size(); i++) differing += frame[i] != before[i] ? 1 : 0;
  // The option's two bytes and the checksum's two.
  require(changed ? differing <= 4 : differing == 0);
  if (changed) require(!clampMss(frame, view, limit));
}
