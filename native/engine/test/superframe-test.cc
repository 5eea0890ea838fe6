// split(superframe) then merge = the original, and each segment is what the kernel would have sent.
#include <sys/socket.h>
#include <unistd.h>

#include "bytes.h"
#include "checksum.h"
#include "frames.h"
#include "harness.h"
#include "superframe.h"
#include "tap-writer.h"

namespace {

using namespace weft;
using namespace weft::test;

struct Sample {
  Frame frame;  // partial checksum, as a TAP gives it
  FrameView view;
  uint16_t segmentBytes;
};

void makePartial(Frame& frame, const FrameView& view) {
  storeBe16(&frame[view.layer4Offset + 16],
            pseudoHeaderSum(frame, view, view.end - view.layer4Offset));
}

Sample randomSample(Random& random) {
  const bool v6 = random.below(2) == 0;
  TcpFields fields;
  fields.sequence = static_cast<uint32_t>(random.next());  // wraps now and then
  fields.acknowledgement = static_cast<uint32_t>(random.next());
  fields.id = static_cast<uint16_t>(random.next());
  fields.optionBytes = random.below(11) * 4;
  fields.flags = static_cast<uint8_t>(0x10 | (random.below(2) ? 0x08 : 0) |
                                      (random.below(4) == 0 ? 0x01 : 0) |
                                      (random.below(4) == 0 ? 0x80 : 0) |
                                      (random.below(4) == 0 ? 0x40 : 0));
  Sample sample;
  sample.frame = tcp(macB, macA, v6 ? ipv6(1) : ipv4(10, 7, 0, 1), v6 ? ipv6(2) : ipv4(10, 7, 0, 2),
                     fields, random.bytes(1 + random.below(60'000)));
  if (random.below(3) == 0) sample.frame = withVlan(sample.frame, 3);
  sample.segmentBytes = static_cast<uint16_t>(300 + random.below(1100));
  parseFrame(sample.frame, sample.view);
  makePartial(sample.frame, sample.view);
  return sample;
}

std::vector<Frame> segmentsOf(const Sample& sample) {
  std::vector<Frame> segments;
  const auto splitter = SuperframeSplitter::make(sample.frame, sample.view, sample.segmentBytes);
  for (size_t i = 0; splitter && i < splitter->count(); i++) {
    Frame segment(splitter->bytesOf(i));
    splitter->write(i, segment.data());
    segments.push_back(segment);
  }
  return segments;
}

Frame joined(std::span<const iovec> pieces) {
  Frame whole;
  for (const iovec& piece : pieces) {
    const auto* bytes = static_cast<const uint8_t*>(piece.iov_base);
    whole.insert(whole.end(), bytes, bytes + piece.iov_len);
  }
  return whole;
}

}  // namespace

TEST("superframe: split then merge gives the original") {
  Random random(8);
  for (int round = 0; round < 300; round++) {
    const Sample sample = randomSample(random);
    const auto splitter = SuperframeSplitter::make(sample.frame, sample.view, sample.segmentBytes);
    CHECK(splitter.has_value());
    std::vector<Frame> segments = segmentsOf(sample);
    if (segments.size() < 2) continue;
    SuperframeMerger merger;
    FrameView view;
    CHECK(parseFrame(segments[0], view) == DropReason::none);
    CHECK(merger.start(segments[0], view, splitter->describe(0)));
    for (size_t i = 1; i < segments.size(); i++) {
      CHECK(!merger.closed());
      CHECK(merger.append(segments[i], splitter->describe(i)));
    }
    CHECK(merger.closed());
    MergedShape shape;
    CHECK(joined(merger.finish(shape)) == sample.frame);
    CHECK_EQ(shape.segments, segments.size());
    CHECK_EQ(shape.segmentBytes, sample.segmentBytes);
    CHECK_EQ(shape.checksumStart, sample.view.layer4Offset);
  }
}

TEST("superframe: every segment is a valid TCP segment") {
  Random random(9);
  for (int round = 0; round < 100; round++) {
    const Sample sample = randomSample(random);
    const std::vector<Frame> segments = segmentsOf(sample);
    CHECK(!segments.empty());
    const size_t tcpAt = sample.view.layer4Offset;
    const size_t headers = tcpAt + (sample.frame[tcpAt + 12] >> 4) * 4U;
    Frame payload;
    for (size_t i = 0; i < segments.size(); i++) {
      Frame segment = segments[i];
      FrameView view;
      CHECK(parseFrame(segment, view) == DropReason::none);
      CHECK_EQ(view.end, segment.size());
      CHECK(completeChecksum(segment, view.layer4Offset, 16, view.end));
      CHECK(checksumsAreRight(segment));
      const uint8_t flags = segment[view.layer4Offset + 13];
      const uint8_t original = sample.frame[sample.view.layer4Offset + 13];
      CHECK_EQ(flags & 0x09, i + 1 == segments.size() ? original & 0x09 : 0);
      CHECK_EQ(flags & 0x80, i == 0 ? original & 0x80 : 0);
      payload.insert(payload.end(), segment.begin() + static_cast<long>(headers), segment.end());
    }
    CHECK(std::equal(payload.begin(), payload.end(),
                     sample.frame.begin() + static_cast<long>(headers), sample.frame.end()));
  }
}

TEST("superframe: a segment that differs in any header bit is not merged") {
  Random random(10);
  Sample sample = randomSample(random);
  while (segmentsOf(sample).size() < 4) sample = randomSample(random);
  const auto splitter = SuperframeSplitter::make(sample.frame, sample.view, sample.segmentBytes);
  const std::vector<Frame> segments = segmentsOf(sample);
  FrameView view;
  CHECK(parseFrame(segments[0], view) == DropReason::none);
  const size_t headers = splitter->bytesOf(0) - sample.segmentBytes;
  size_t merged = 0;
  for (size_t bit = 0; bit < headers * 8; bit++) {
    Frame first = segments[0];
    Frame second = segments[1];
    SuperframeMerger merger;
    CHECK(merger.start(first, view, splitter->describe(0)));
    second[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    if (merger.append(second, splitter->describe(1))) merged++;
  }
  // Checksum fields are written anew, and FIN and PSH may end a superframe.
  const size_t free = 16 + (sample.view.layer3 == Layer3::ipv4 ? 16 : 0) + 2;
  CHECK_EQ(merged, free);
}

TEST("superframe: members of another superframe, gaps and plain frames do not join") {
  Random random(11);
  Sample sample = randomSample(random);
  while (segmentsOf(sample).size() < 4) sample = randomSample(random);
  const auto splitter = SuperframeSplitter::make(sample.frame, sample.view, sample.segmentBytes);
  std::vector<Frame> segments = segmentsOf(sample);
  FrameView view;
  CHECK(parseFrame(segments[0], view) == DropReason::none);
  SuperframeMerger merger;
  auto plain = splitter->describe(0);
  plain.member = false;
  CHECK(!merger.start(segments[0], view, plain));
  CHECK(merger.start(segments[0], view, splitter->describe(0)));
  CHECK(!merger.append(segments[2], splitter->describe(2)));
  CHECK(!merger.append(segments[1], splitter->describe(2)));
  plain.index = 1;
  CHECK(!merger.append(segments[1], plain));
  CHECK(merger.append(segments[1], splitter->describe(1)));
}

// The filter looked at the first segment of one session; another session must not continue it.
TEST("superframe: a segment of another session is never appended") {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
  Tap tap = Tap::adopt(pair[1], true, {true, true, true});
  ThreadCounters counters;
  TapWriter writer(&tap, counters);
  Random random(14);
  Sample sample = randomSample(random);
  while (segmentsOf(sample).size() < 4) sample = randomSample(random);
  const auto splitter = SuperframeSplitter::make(sample.frame, sample.view, sample.segmentBytes);
  std::vector<Frame> segments = segmentsOf(sample);
  FrameView view;
  CHECK(parseFrame(segments[0], view) == DropReason::none);
  writer.add(1, splitter->describe(0), segments[0], view);
  CHECK(!writer.tryAppend(2, splitter->describe(1), segments[1]));
  CHECK(writer.tryAppend(1, splitter->describe(1), segments[1]));
  writer.flush();
  CHECK_EQ(counters.tapFramesOut.get(), 1);
  close(pair[0]);
}

TEST("superframe: random frames and sizes are refused or cut within bounds") {
  Random random(12);
  for (int round = 0; round < 20'000; round++) {
    Sample sample;
    sample.frame = tcp(macB, macA, ipv4(1, 2, 3, 4), ipv4(1, 2, 3, 5), {}, random.bytes(100));
    for (int flips = 0; flips < 3; flips++) sample.frame[random.below(70)] = random.byte();
    sample.segmentBytes = static_cast<uint16_t>(random.below(120));
    if (parseFrame(sample.frame, sample.view) != DropReason::none) continue;
    for (Frame& segment : segmentsOf(sample)) {
      FrameView view;
      CHECK(parseFrame(segment, view) == DropReason::none);
    }
  }
}
