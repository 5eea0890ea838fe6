#include "tap-writer.h"

#include <errno.h>

#include "checksum.h"
#include "engine-limits.h"

namespace weft {
namespace {

VnetHeader vnetOf(const wire::Descriptor& descriptor) {
  VnetHeader vnet;
  if (!descriptor.partial) return vnet;
  vnet.flags = VnetHeader::needsChecksum;
  vnet.checksumStart = descriptor.checksumStart;
  vnet.checksumOffset =
      descriptor.layer4 == wire::Layer4::tcp ? tcpChecksumOffset : udpChecksumOffset;
  return vnet;
}

VnetHeader vnetOf(const MergedShape& shape) {
  VnetHeader vnet;
  vnet.flags = VnetHeader::needsChecksum;
  vnet.gsoType = shape.ipv6 ? VnetHeader::gsoTcp6 : VnetHeader::gsoTcp4;
  if (shape.congestionReduced) vnet.gsoType |= VnetHeader::gsoEcn;
  vnet.headerBytes = shape.headerBytes;
  vnet.segmentBytes = shape.segmentBytes;
  vnet.checksumStart = shape.checksumStart;
  vnet.checksumOffset = tcpChecksumOffset;
  return vnet;
}

}  // namespace

bool TapWriter::tryAppend(SessionId session, const wire::Descriptor& descriptor,
                          std::span<uint8_t> frame) {
  if (merger_.empty() || session != session_ || !merger_.append(frame, descriptor)) return false;
  if (merger_.closed()) flush();
  return true;
}

void TapWriter::add(SessionId session, const wire::Descriptor& descriptor,
                    std::span<uint8_t> frame, const FrameView& view) {
  flush();
  if (mayMerge(view) && merger_.start(frame, view, descriptor)) {
    session_ = session;
    first_ = descriptor;
    return;
  }
  writeSingle(descriptor, frame);
}

void TapWriter::addPlain(Bytes frame) {
  flush();
  const iovec piece{const_cast<uint8_t*>(frame.data()), frame.size()};
  settle(writePieces({}, {&piece, 1}));
}

void TapWriter::flush() {
  if (merger_.empty()) return;
  writeMerged();
  merger_.reset();
}

bool TapWriter::mayMerge(const FrameView& view) const {
  if (tap_ == nullptr || refused_) return false;
  return view.layer3 == Layer3::ipv4 ? tap_->offloads().tso4 : tap_->offloads().tso6;
}

void TapWriter::writeSingle(const wire::Descriptor& descriptor, std::span<uint8_t> frame) {
  const VnetHeader vnet = vnetOf(descriptor);
  if (descriptor.partial && tap_ != nullptr && !tap_->hasVnetHeader() &&
      !completeChecksum(frame, vnet.checksumStart, vnet.checksumOffset, frame.size())) {
    return counters_.drop(DropReason::badField);
  }
  const iovec piece{frame.data(), frame.size()};
  settle(writePieces(vnet, {&piece, 1}));
}

void TapWriter::writeMerged() {
  MergedShape shape;
  const std::span<const iovec> pieces = merger_.finish(shape);
  if (shape.segments == 1) {
    return writeSingle(first_, {static_cast<uint8_t*>(pieces[0].iov_base), pieces[0].iov_len});
  }
  const ssize_t result = writePieces(vnetOf(shape), pieces);
  if (result == -EINVAL) return writeSegments(pieces, shape);
  settle(result);
}

/// Some kernels refuse superframes they should take. The same data goes in one by one, and no
/// further superframe is tried.
void TapWriter::writeSegments(std::span<const iovec> pieces, const MergedShape& shape) {
  refused_ = true;
  std::vector<uint8_t> whole;
  for (const iovec& piece : pieces) {
    const auto* bytes = static_cast<const uint8_t*>(piece.iov_base);
    whole.insert(whole.end(), bytes, bytes + piece.iov_len);
  }
  FrameView view;
  if (parseFrame(whole, view) != DropReason::none) return counters_.drop(DropReason::tapError);
  const auto splitter = SuperframeSplitter::make(whole, view, shape.segmentBytes);
  if (!splitter) return counters_.drop(DropReason::tapError);
  std::vector<uint8_t> segment(limits::frameBytes);
  for (size_t i = 0; i < splitter->count(); i++) {
    splitter->write(i, segment.data());
    writeSingle(splitter->describe(i), {segment.data(), splitter->bytesOf(i)});
  }
}

ssize_t TapWriter::writePieces(const VnetHeader& vnet, std::span<const iovec> pieces) {
  if (tap_ == nullptr) return -ENODEV;
  pieces_.clear();
  if (tap_->hasVnetHeader()) {
    pieces_.push_back({const_cast<VnetHeader*>(&vnet), sizeof vnet});
  }
  pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
  return tap_->write(std::span<const iovec>(pieces_));
}

void TapWriter::settle(ssize_t result) {
  if (result < 0) return counters_.drop(DropReason::tapError);
  counters_.tapFramesOut.add();
}

}  // namespace weft
