// "Packet too big" as the answer to any frame: made of its headers and a quote of it.
#include "too-big.h"

#include "input.h"

using namespace weft;
using fuzz::require;

FUZZ_TARGET(input) {
  const size_t room = input.word();
  const auto frame = fuzz::copyOf(input.rest());
  FrameView view;
  if (parseFrame(frame, view) != DropReason::none) return;
  if (!forbidsFragments(frame, view, frame.size()) || !mayBeAnswered(frame, view)) return;
  std::vector<uint8_t> answer;
  appendTooBig(answer, frame, view, room);
  FrameView back;
  require(parseFrame(answer, back) == DropReason::none);
  require(back.layer3 == view.layer3 && back.end == answer.size());
  // Never longer than the packet it speaks of and its own headers: no amplifier.
  require(answer.size() <= frame.size() + ipv6HeaderBytes + 8);
  require(!mayBeAnswered(answer, back));
}
