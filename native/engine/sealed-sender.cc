#include "sealed-sender.h"

#include <algorithm>
#include <cstring>

#include "checksum.h"
#include "mss-clamp.h"
#include "superframe.h"
#include "too-big.h"

namespace weft {
namespace {

/// A full batch and the largest datagram behind it.
constexpr size_t arenaBytes = limits::sendFlushBytes + limits::datagramBytes;
constexpr size_t lengthBytes = 2;

wire::Layer4 layer4Kind(uint8_t protocol) {
  if (protocol == protocolTcp) return wire::Layer4::tcp;
  return protocol == protocolUdp ? wire::Layer4::udp : wire::Layer4::other;
}

/// Whether the receiver will find the same checksum field from the descriptor alone.
bool isCarriable(const VnetHeader& vnet, const FrameView& view) {
  if (view.layer4Offset == 0 || view.fragment || view.layer4Offset != vnet.checksumStart) {
    return false;
  }
  if (view.layer4Offset > 510 || view.layer4Offset % 2 != 0) return false;
  return (view.protocol == protocolTcp && vnet.checksumOffset == tcpChecksumOffset) ||
         (view.protocol == protocolUdp && vnet.checksumOffset == udpChecksumOffset);
}

}  // namespace

std::optional<wire::Descriptor> describeFrame(const VnetHeader& vnet, std::span<uint8_t> frame,
                                              const std::optional<FrameView>& view) {
  wire::Descriptor descriptor;
  if (view && view->layer4Offset != 0) descriptor.layer4 = layer4Kind(view->protocol);
  descriptor.ipv6 = view && view->layer3 == Layer3::ipv6;
  if ((vnet.flags & VnetHeader::needsChecksum) == 0) return descriptor;
  if (view && isCarriable(vnet, *view)) {
    descriptor.partial = true;
    descriptor.checksumStart = view->layer4Offset;
    return descriptor;
  }
  const size_t end = view ? view->end : frame.size();
  if (!completeChecksum(frame, vnet.checksumStart, vnet.checksumOffset, end)) return std::nullopt;
  return descriptor;
}

SealedSender::SealedSender(TxSessions& sessions, SendBatch& batch, Tap* tap, UpcallRing& upcalls,
                           ThreadCounters& counters)
    : sessions_(sessions),
      batch_(batch),
      tap_(tap),
      upcalls_(upcalls),
      counters_(counters),
      arena_(std::make_unique<uint8_t[]>(arenaBytes)),
      scratch_(std::make_unique<uint8_t[]>(limits::frameBytes)) {}

void SealedSender::sendFrame(uint64_t nowMs, TxSession& session, const VnetHeader& vnet,
                             std::span<uint8_t> frame, const std::optional<FrameView>& view) {
  auto way = wayOf(nowMs, session, std::nullopt);
  if (!way) return;
  if (vnet.gsoType != VnetHeader::gsoNone) {
    if (!view) return counters_.drop(DropReason::tapError);
    return sendSuperframe(*way, vnet, frame, *view);
  }
  if (frame.size() > limits::frameBytes) return counters_.drop(DropReason::tooBig);
  if (view && refuses(way->route, frame, frame.size(), *view)) {
    return answerTooBig(*way, frame, *view);
  }
  const bool partial = (vnet.flags & VnetHeader::needsChecksum) != 0;
  if (view) clampMss(frame, *view, {way->route.mssRoom, partial});
  const auto descriptor = describeFrame(vnet, frame, view);
  if (!descriptor) return counters_.drop(DropReason::tapError);
  sendFrameBody(*way, *descriptor, frame.size(),
                [frame](uint8_t* to) { std::memcpy(to, frame.data(), frame.size()); });
}

void SealedSender::sendSuperframe(Way& way, const VnetHeader& vnet, Bytes frame,
                                  const FrameView& view) {
  const uint8_t type = vnet.gsoType & ~VnetHeader::gsoEcn;
  const uint8_t expected =
      view.layer3 == Layer3::ipv4 ? VnetHeader::gsoTcp4 : VnetHeader::gsoTcp6;
  const auto splitter = SuperframeSplitter::make(frame, view, vnet.segmentBytes);
  if (!splitter || type != expected || splitter->bytesOf(0) > limits::frameBytes) {
    return counters_.drop(DropReason::tapError);
  }
  if (refuses(way.route, frame, splitter->bytesOf(0), view)) {
    splitter->write(0, scratch_.get());
    return answerTooBig(way, {scratch_.get(), splitter->bytesOf(0)}, view);
  }
  for (size_t i = 0; i < splitter->count(); i++) {
    sendFrameBody(way, splitter->describe(i), splitter->bytesOf(i),
                  [&splitter, i](uint8_t* to) { splitter->write(i, to); });
  }
}

void SealedSender::sendControl(uint64_t nowMs, const Control& control) {
  if (control.bytes.size() > limits::controlBytes) return counters_.drop(DropReason::tooLong);
  TxSession* session = sessions_.find(control.session);
  if (session == nullptr) return counters_.drop(DropReason::noPath);
  auto way = wayOf(nowMs, *session, control.path);
  if (!way) return;
  way->route.destination.ttl = control.ttl;
  sendMessage(*way, control);
}

/// Pads with the descriptor's nibble up to 15 bytes, past that by a length in front and zeros
/// behind.
void SealedSender::sendMessage(Way& way, const Control& control) {
  const size_t length = control.bytes.size();
  const size_t natural = way.route.shimBytes() + wire::overheadBytes + length;
  const size_t wanted = std::min<size_t>(control.padTo.value_or(0), limits::datagramBytes);
  const size_t padding = wanted > natural ? wanted - natural : 0;
  wire::Descriptor descriptor;
  descriptor.kind = wire::Kind::control;
  descriptor.member = padding > wire::maxPad;
  if (!descriptor.member) descriptor.pad = static_cast<uint8_t>(padding);
  const size_t prefix = descriptor.member ? lengthBytes : 0;
  const bool sent = sendBody(way, descriptor, length + padding, [&](uint8_t* to) {
    if (prefix != 0) storeLe(to, static_cast<uint16_t>(length));
    if (length != 0) std::memcpy(to + prefix, control.bytes.data(), length);
    std::memset(to + prefix + length, 0, padding - prefix);
  });
  if (sent) way.session.shared->controlBytesOut.add(length);
}

void SealedSender::sendKeepalive(uint64_t nowMs, TxSession& session) {
  auto way = wayOf(nowMs, session, std::nullopt);
  if (way) sendMessage(*way, Control{});
}

void SealedSender::sendPlain(const Datagram& datagram) {
  if (datagram.bytes.size() > limits::datagramBytes) return counters_.drop(DropReason::tooLong);
  uint8_t* slot = reserve(datagram.bytes.size());
  std::memcpy(slot, datagram.bytes.data(), datagram.bytes.size());
  used_ += datagram.bytes.size();
  batch_.add({datagram.socket, datagram.to, datagram.ttl}, {slot, datagram.bytes.size()});
}

void SealedSender::flush() {
  if (!batch_.empty()) batch_.flush();
  used_ = 0;
}

std::optional<SealedSender::Way> SealedSender::wayOf(uint64_t nowMs, TxSession& session,
                                                     std::optional<PathIndex> path) {
  SealingKeys* keys = TxSessions::keysOf(session);
  auto route = sessions_.routeOf(session, path);
  if (keys == nullptr || !route) {
    counters_.drop(DropReason::noPath);
    return std::nullopt;
  }
  const PathState* active = session.paths.active();
  if (!path || (active != nullptr && active == session.paths.at(*path))) {
    session.lastSentMs = nowMs;
  }
  return Way{session, *keys, *route, nowMs};
}

/// Seals one message whose body `write` puts in place, and queues it; false when it was dropped.
template <typename Write>
bool SealedSender::sendBody(Way& way, const wire::Descriptor& descriptor, size_t bodyBytes,
                            Write write) {
  const size_t shim = way.route.shimBytes();
  const size_t total = shim + wire::overheadBytes + bodyBytes;
  uint8_t* slot = reserve(total);
  uint8_t* data = slot + shim;
  if (shim != 0) wire::emitRelayHeader({limits::relayTtl, way.route.label}, slot);
  wire::emitDescriptor(descriptor, data + wire::dataHeaderBytes);
  write(data + wire::dataHeaderBytes + wire::descriptorBytes);
  const DropReason reason = way.keys.seal(way.nowMs, data, wire::descriptorBytes + bodyBytes);
  if (reason != DropReason::none) {
    counters_.drop(reason);
    return false;
  }
  used_ += total;
  batch_.add(way.route.destination, {slot, total});
  if (way.keys.takeRekeyDue() && !upcalls_.push(RekeyDueUpcall{way.session.id})) {
    counters_.drop(DropReason::upcallFull);
  }
  return true;
}

/// The same for a frame, which may be larger than the path.
template <typename Write>
void SealedSender::sendFrameBody(Way& way, const wire::Descriptor& descriptor, size_t frameBytes,
                                 Write write) {
  bool sent = false;
  if (frameBytes <= way.route.frameRoom) {
    sent = sendBody(way, descriptor, frameBytes, write);
  } else {
    write(scratch_.get());
    sent = sendHalves(way, descriptor, {scratch_.get(), frameBytes});
  }
  if (!sent) return;
  way.session.shared->framesOut.add();
  way.session.shared->bytesOut.add(frameBytes);
}

bool SealedSender::sendHalves(Way& way, const wire::Descriptor& descriptor, Bytes frame) {
  const size_t overhead = way.route.shimBytes() + wire::overheadBytes + wire::fragmentIdBytes;
  const size_t half = (frame.size() + 1) / 2;
  if (overhead + half > way.route.maxDatagram) {
    counters_.drop(DropReason::tooBig);
    return false;
  }
  const uint32_t id = way.session.nextFragmentId++;
  wire::Descriptor part = descriptor;
  part.kind = wire::Kind::fragment;
  part.member = false;
  for (const uint8_t index : {0, 1}) {
    const Bytes bytes = index == 0 ? frame.first(half) : frame.subspan(half);
    part.index = index;
    part.last = index == 1;
    const bool sent =
        sendBody(way, part, wire::fragmentIdBytes + bytes.size(), [&](uint8_t* to) {
          storeLe(to, id);
          std::memcpy(to + wire::fragmentIdBytes, bytes.data(), bytes.size());
        });
    if (!sent) return false;
  }
  return true;
}

/// While the size of the path is still looked for nobody is told: hosts keep a size they heard for
/// ten minutes (RFC 1191), and two halves carry the frame meanwhile.
bool SealedSender::refuses(const Route& route, Bytes frame, size_t frameBytes,
                           const FrameView& view) {
  if (frameBytes <= route.frameRoom || !route.settled) return false;
  const bool fitsHalves = (frameBytes + 1) / 2 + wire::fragmentIdBytes <= route.frameRoom;
  if (fitsHalves && !forbidsFragments(frame, view, frameBytes)) return false;
  return mayBeAnswered(frame, view);
}

void SealedSender::answerTooBig(Way& way, Bytes frame, const FrameView& view) {
  counters_.drop(DropReason::tooBig);
  TxSession& session = way.session;
  const uint64_t second = way.nowMs / 1'000;
  if (second != session.tooBigSecond) {
    session.tooBigSecond = second;
    session.tooBigAnswers = 0;
  }
  if (tap_ == nullptr || session.tooBigAnswers == limits::tooBigAnswersPerSecond) return;
  session.tooBigAnswers++;
  std::vector<uint8_t> answer(tap_->hasVnetHeader() ? sizeof(VnetHeader) : 0, 0);
  appendTooBig(answer, frame, view, way.route.frameRoom);
  if (tap_->write(answer) < 0) return counters_.drop(DropReason::tapError);
  counters_.tapFramesOut.add();
}

/// A slot behind the last one; what is queued leaves first when the arena is full enough.
uint8_t* SealedSender::reserve(size_t bytes) {
  if (used_ >= limits::sendFlushBytes || used_ + bytes > arenaBytes) flush();
  return arena_.get() + used_;
}

}  // namespace weft
