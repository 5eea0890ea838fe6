#include "mss-clamp.h"

#include "bytes.h"
#include "checksum.h"

namespace weft::detail {
namespace {

constexpr uint8_t optionEnd = 0;
constexpr uint8_t optionNothing = 1;
constexpr uint8_t optionMss = 2;
constexpr size_t mssOptionBytes = 4;
/// RFC 9293, 3.7.1: what every host takes; a smaller clamp would only cost speed.
constexpr size_t leastMss = 536;

/// Offset of the MSS value within the TCP header; 0 = there is none.
size_t findMss(Bytes tcp, size_t headerBytes) {
  for (size_t at = tcpHeaderBytes; at < headerBytes && tcp[at] != optionEnd;) {
    if (tcp[at] == optionNothing) {
      at++;
      continue;
    }
    if (at + 1 == headerBytes) return 0;
    const size_t bytes = tcp[at + 1];
    if (bytes < 2 || at + bytes > headerBytes) return 0;
    if (tcp[at] == optionMss) return bytes == mssOptionBytes ? at + 2 : 0;
    at += bytes;
  }
  return 0;
}

uint16_t swapped(uint16_t value) { return static_cast<uint16_t>(value << 8 | value >> 8); }

/// RFC 1624: HC' = ~(~HC + ~m + m'). A value at an odd place counts with its bytes swapped.
void correctChecksum(uint8_t* field, uint16_t before, uint16_t after) {
  const uint64_t sum = static_cast<uint64_t>(static_cast<uint16_t>(~loadBe16(field))) +
                       static_cast<uint16_t>(~before) + after;
  storeBe16(field, static_cast<uint16_t>(~checksumFold(sum)));
}

}  // namespace

bool clampSyn(std::span<uint8_t> frame, const FrameView& view, const MssLimit& limit) {
  const auto tcp = frame.subspan(view.layer4Offset, view.end - view.layer4Offset);
  const size_t headerBytes = (tcp[12] >> 4) * 4U;
  if (headerBytes < tcpHeaderBytes || headerBytes > tcp.size()) return false;
  const size_t at = findMss(tcp, headerBytes);
  const size_t ipBytes = view.layer3 == Layer3::ipv4 ? ipv4HeaderBytes : ipv6HeaderBytes;
  const size_t headers = view.layer3Offset + ipBytes + tcpHeaderBytes;
  if (at == 0 || limit.frameRoom < headers + leastMss) return false;
  const size_t most = limit.frameRoom - headers;
  const uint16_t before = loadBe16(&tcp[at]);
  if (before <= most) return false;
  const uint16_t after = static_cast<uint16_t>(most);
  storeBe16(&tcp[at], after);
  if (limit.partialChecksum) return true;
  const bool odd = at % 2 != 0;
  correctChecksum(&tcp[tcpChecksumOffset], odd ? swapped(before) : before,
                  odd ? swapped(after) : after);
  return true;
}

}  // namespace weft::detail
