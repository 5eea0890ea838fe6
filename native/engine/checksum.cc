#include "checksum.h"

#include "bytes.h"

namespace weft {

uint64_t checksumAdd(Bytes bytes, uint64_t sum) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 4; at += 4, left -= 4) sum += loadBe32(at);
  if (left >= 2) {
    sum += loadBe16(at);
    at += 2;
    left -= 2;
  }
  if (left == 1) sum += static_cast<uint64_t>(*at) << 8;
  return sum;
}

uint16_t checksumFold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

uint16_t pseudoHeaderSum(Bytes frame, const FrameView& view, uint32_t layer4Bytes) {
  const bool v6 = view.layer3 == Layer3::ipv6;
  const size_t addresses = view.layer3Offset + (v6 ? 8U : 12U);
  const size_t addressBytes = v6 ? 32 : 8;
  const uint64_t sum = checksumAdd(frame.subspan(addresses, addressBytes));
  return checksumFold(sum + view.protocol + layer4Bytes);
}

void writeIpv4Checksum(uint8_t* header, size_t headerBytes) {
  storeBe16(header + 10, 0);
  storeBe16(header + 10, static_cast<uint16_t>(~checksumFold(checksumAdd({header, headerBytes}))));
}

bool completeChecksum(std::span<uint8_t> frame, size_t start, size_t offset, size_t end) {
  if (end > frame.size() || start + offset + 2 > end) return false;
  const uint16_t sum =
      static_cast<uint16_t>(~checksumFold(checksumAdd(Bytes(frame).subspan(start, end - start))));
  // Zero means "no checksum" to UDP (RFC 768); all ones is the same number.
  const bool udpZero = offset == udpChecksumOffset && sum == 0;
  storeBe16(&frame[start + offset], udpZero ? 0xffff : sum);
  return true;
}

}  // namespace weft
