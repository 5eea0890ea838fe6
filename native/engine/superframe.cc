#include "superframe.h"

#include <algorithm>
#include <cstring>

#include "bytes.h"
#include "checksum.h"
#include "engine-limits.h"

namespace weft {
namespace {

constexpr size_t tcpSequence = 4;
constexpr size_t tcpFlags = 13;
constexpr uint8_t flagFin = 0x01;
constexpr uint8_t flagSyn = 0x02;
constexpr uint8_t flagRst = 0x04;
constexpr uint8_t flagPsh = 0x08;
constexpr uint8_t flagUrg = 0x20;
constexpr uint8_t flagCwr = 0x80;

/// Header bytes up to the TCP payload; 0 = not a whole TCP header.
size_t tcpHeadersEnd(Bytes frame, const FrameView& view) {
  if (view.layer4Offset == 0 || view.protocol != protocolTcp || view.fragment) return 0;
  const Bytes tcp = layer4Of(frame, view);
  if (tcp.size() < tcpHeaderBytes) return 0;
  const size_t bytes = (tcp[12] >> 4) * 4U;
  if (bytes < tcpHeaderBytes || bytes > tcp.size()) return 0;
  return view.layer4Offset + bytes;
}

/// Sets the IP lengths for a packet of `frameBytes` and the partial TCP checksum that goes with it.
void writeLengths(uint8_t* frame, size_t frameBytes, const FrameView& view) {
  uint8_t* ip = frame + view.layer3Offset;
  const size_t packetBytes = frameBytes - view.layer3Offset;
  if (view.layer3 == Layer3::ipv4) {
    storeBe16(ip + 2, static_cast<uint16_t>(packetBytes));
    writeIpv4Checksum(ip, static_cast<size_t>(ip[0] & 15) * 4);
  } else {
    storeBe16(ip + 4, static_cast<uint16_t>(packetBytes - ipv6HeaderBytes));
  }
  const size_t tcpBytes = frameBytes - view.layer4Offset;
  storeBe16(frame + view.layer4Offset + tcpChecksumOffset,
            pseudoHeaderSum({frame, frameBytes}, view, static_cast<uint32_t>(tcpBytes)));
}

}  // namespace

std::optional<SuperframeSplitter> SuperframeSplitter::make(Bytes frame, const FrameView& view,
                                                           uint16_t segmentBytes) {
  const size_t headerBytes = tcpHeadersEnd(frame, view);
  if (headerBytes == 0 || segmentBytes == 0 || view.end != frame.size()) return std::nullopt;
  // csum_start must fit into the descriptor's byte.
  if (view.layer4Offset > 510 || view.layer4Offset % 2 != 0) return std::nullopt;
  SuperframeSplitter splitter;
  splitter.frame_ = frame;
  splitter.view_ = view;
  splitter.headerBytes_ = headerBytes;
  splitter.segmentBytes_ = segmentBytes;
  splitter.payloadBytes_ = frame.size() - headerBytes;
  splitter.count_ = std::max<size_t>(1, (splitter.payloadBytes_ + segmentBytes - 1) / segmentBytes);
  return splitter;
}

size_t SuperframeSplitter::bytesOf(size_t i) const {
  return headerBytes_ + std::min(segmentBytes_, payloadBytes_ - i * segmentBytes_);
}

void SuperframeSplitter::write(size_t i, uint8_t* out) const {
  const size_t bytes = bytesOf(i);
  std::memcpy(out, frame_.data(), headerBytes_);
  std::memcpy(out + headerBytes_, frame_.data() + headerBytes_ + i * segmentBytes_,
              bytes - headerBytes_);
  if (view_.layer3 == Layer3::ipv4) {
    uint8_t* id = out + view_.layer3Offset + 4;
    storeBe16(id, static_cast<uint16_t>(loadBe16(id) + i));
  }
  uint8_t* tcp = out + view_.layer4Offset;
  storeBe32(tcp + tcpSequence,
            loadBe32(tcp + tcpSequence) + static_cast<uint32_t>(i * segmentBytes_));
  if (i + 1 != count_) tcp[tcpFlags] &= static_cast<uint8_t>(~(flagFin | flagPsh));
  if (i != 0) tcp[tcpFlags] &= static_cast<uint8_t>(~flagCwr);
  writeLengths(out, bytes, view_);
}

wire::Descriptor SuperframeSplitter::describe(size_t i) const {
  wire::Descriptor descriptor;
  descriptor.partial = true;
  descriptor.member = count_ > 1;
  descriptor.layer4 = wire::Layer4::tcp;
  descriptor.ipv6 = view_.layer3 == Layer3::ipv6;
  descriptor.checksumStart = view_.layer4Offset;
  descriptor.index = static_cast<uint8_t>(i);
  descriptor.last = count_ > 1 && i + 1 == count_;
  return descriptor;
}

SuperframeMerger::SuperframeMerger() { pieces_.reserve(limits::segmentsPerSend); }

void SuperframeMerger::reset() {
  pieces_.clear();
  closed_ = false;
}

bool SuperframeMerger::start(std::span<uint8_t> frame, const FrameView& view,
                             const wire::Descriptor& descriptor) {
  if (!descriptor.member || !descriptor.partial || descriptor.last) return false;
  const size_t headerBytes = tcpHeadersEnd(frame, view);
  if (headerBytes == 0 || view.end != frame.size() || frame.size() == headerBytes) return false;
  // Plain headers only: options between IP and TCP would have to be compared as well.
  const size_t ipBytes = view.layer3 == Layer3::ipv4 ? ipv4HeaderBytes : ipv6HeaderBytes;
  if (view.layer4Offset != view.layer3Offset + ipBytes) return false;
  const uint8_t flags = frame[view.layer4Offset + tcpFlags];
  if ((flags & (flagFin | flagSyn | flagRst | flagPsh | flagUrg)) != 0) return false;
  first_ = frame.data();
  view_ = view;
  headerBytes_ = headerBytes;
  segmentBytes_ = payloadBytes_ = frame.size() - headerBytes;
  nextIndex_ = static_cast<uint8_t>(descriptor.index + 1);
  lastFlags_ = flags;
  pieces_.push_back({first_, frame.size()});
  return true;
}

bool SuperframeMerger::append(std::span<uint8_t> frame, const wire::Descriptor& descriptor) {
  if (closed_ || !descriptor.member || !descriptor.partial || descriptor.index != nextIndex_) {
    return false;
  }
  if (frame.size() <= headerBytes_ || frame.size() - headerBytes_ > segmentBytes_) return false;
  const size_t payload = frame.size() - headerBytes_;
  if (bytes() + payload - view_.layer3Offset > limits::superframeBytes) return false;
  if (!sameFlow(frame.data(), frame.size())) return false;
  lastFlags_ = frame[view_.layer4Offset + tcpFlags];
  closed_ = descriptor.last || payload < segmentBytes_ || (lastFlags_ & (flagFin | flagPsh)) != 0;
  pieces_.push_back({frame.data() + headerBytes_, payload});
  payloadBytes_ += payload;
  nextIndex_++;
  return true;
}

/// Everything but what a segment must differ in equals the first segment's.
bool SuperframeMerger::sameFlow(const uint8_t* next, size_t nextBytes) const {
  if (std::memcmp(first_, next, view_.layer3Offset) != 0 || !sameIp(next, nextBytes)) return false;
  const uint8_t* a = first_ + view_.layer4Offset;
  const uint8_t* b = next + view_.layer4Offset;
  const uint8_t firstFlags = static_cast<uint8_t>(a[tcpFlags] & ~flagCwr);
  const uint8_t nextFlags = static_cast<uint8_t>(b[tcpFlags] & ~(flagFin | flagPsh));
  const size_t tcpBytes = headerBytes_ - view_.layer4Offset;
  const uint32_t sequence =
      loadBe32(a + tcpSequence) + static_cast<uint32_t>(payloadBytes_);
  return std::memcmp(a, b, tcpSequence) == 0 &&  // ports
         loadBe32(b + tcpSequence) == sequence &&
         std::memcmp(a + 8, b + 8, 5) == 0 &&  // acknowledgement, data offset
         firstFlags == nextFlags &&
         std::memcmp(a + 14, b + 14, 2) == 0 &&           // window
         std::memcmp(a + 18, b + 18, tcpBytes - 18) == 0;  // urgent pointer, options
}

bool SuperframeMerger::sameIp(const uint8_t* next, size_t nextBytes) const {
  const uint8_t* a = first_ + view_.layer3Offset;
  const uint8_t* b = next + view_.layer3Offset;
  const size_t packetBytes = nextBytes - view_.layer3Offset;
  if (view_.layer3 == Layer3::ipv6) {
    return std::memcmp(a, b, 4) == 0 && loadBe16(b + 4) == packetBytes - ipv6HeaderBytes &&
           std::memcmp(a + 6, b + 6, ipv6HeaderBytes - 6) == 0;
  }
  const uint16_t id = static_cast<uint16_t>(loadBe16(a + 4) + pieces_.size());
  return a[0] == b[0] && a[1] == b[1] && loadBe16(b + 2) == packetBytes && loadBe16(b + 4) == id &&
         std::memcmp(a + 6, b + 6, 4) == 0 &&  // fragment field, ttl, protocol
         std::memcmp(a + 12, b + 12, 8) == 0;  // addresses
}

std::span<const iovec> SuperframeMerger::finish(MergedShape& shape) {
  uint8_t* tcp = first_ + view_.layer4Offset;
  shape.segments = pieces_.size();
  shape.ipv6 = view_.layer3 == Layer3::ipv6;
  shape.congestionReduced = (tcp[tcpFlags] & flagCwr) != 0;
  shape.headerBytes = static_cast<uint16_t>(headerBytes_);
  shape.segmentBytes = static_cast<uint16_t>(segmentBytes_);
  shape.checksumStart = view_.layer4Offset;
  if (pieces_.size() > 1) {
    tcp[tcpFlags] |= lastFlags_ & (flagFin | flagPsh);
    writeLengths(first_, bytes(), view_);
  }
  return pieces_;
}

}  // namespace weft
