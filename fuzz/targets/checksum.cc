// The Internet checksum against the sum that RFC 1071 writes down, at every length and place.
#include "checksum.h"

#include "input.h"

using namespace weft;
using fuzz::require;

namespace {

uint16_t plainSum(Bytes bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i++) {
    sum += static_cast<uint32_t>(i % 2 == 0 ? bytes[i] << 8 : bytes[i]);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

/// Zero and all ones are the same number in one's complement.
bool same(uint16_t a, uint16_t b) { return a % 0xffff == b % 0xffff; }

}  // namespace

FUZZ_TARGET(input) {
  const size_t start = input.word();
  const size_t offset = input.word();
  const size_t end = input.word();
  auto bytes = fuzz::copyOf(input.rest());
  require(same(checksumFold(checksumAdd(bytes)), plainSum(bytes)));

  const bool done = completeChecksum(bytes, start, offset, end);
  require(done == (end <= bytes.size() && start + offset + 2 <= end));

  FrameView view;
  if (parseFrame(bytes, view) != DropReason::none || view.layer4Offset == 0) return;
  pseudoHeaderSum(bytes, view, view.end - view.layer4Offset);
  if (view.layer3 != Layer3::ipv4) return;
  const size_t headerBytes = (bytes[view.layer3Offset] & 15U) * 4;
  writeIpv4Checksum(&bytes[view.layer3Offset], headerBytes);
  require(same(plainSum(Bytes(bytes).subspan(view.layer3Offset, headerBytes)), 0xffff));
}
