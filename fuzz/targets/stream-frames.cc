// Datagrams in a byte stream: cut anywhere, the same datagrams come out; no length is trusted.
//
//      input = | cut u8 | stream |
#include "stream-frames.h"

#include "input.h"

using namespace weft;
using fuzz::require;

namespace {

struct Heard {
  std::vector<uint8_t> bytes;
  size_t datagrams = 0;
  bool usable = true;
};

/// Feeds `stream` in pieces of `step` bytes, as Stream::read does.
Heard hear(Bytes stream, size_t step) {
  StreamFrames frames;
  Heard heard;
  static std::vector<uint8_t> buffer(limits::streamReadBytes + limits::streamDatagramBytes +
                                     streamLengthBytes);
  while (!stream.empty() && heard.usable) {
    const size_t kept = frames.begin(buffer);
    require(kept < limits::streamDatagramBytes + streamLengthBytes);
    const size_t fresh = std::min({step, stream.size(), buffer.size() - kept});
    std::copy_n(stream.begin(), fresh, buffer.begin() + static_cast<long>(kept));
    stream = stream.subspan(fresh);
    heard.usable = frames.split({buffer.data(), kept + fresh}, [&](std::span<uint8_t> datagram) {
      require(!datagram.empty() && datagram.size() <= limits::streamDatagramBytes);
      heard.bytes.insert(heard.bytes.end(), datagram.begin(), datagram.end());
      heard.datagrams++;
    });
  }
  return heard;
}

}  // namespace

FUZZ_TARGET(input) {
  const size_t step = input.byte() + 1U;
  const auto stream = fuzz::copyOf(input.rest());
  const Heard whole = hear(stream, limits::streamReadBytes);
  const Heard pieces = hear(stream, step);
  require(whole.usable == pieces.usable && whole.datagrams == pieces.datagrams);
  require(whole.bytes == pieces.bytes);
}
