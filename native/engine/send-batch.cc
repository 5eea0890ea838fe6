#include "send-batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "clock.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace weft {
namespace {

/// The segment size and the hop limit.
constexpr size_t controlBytes = CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int));

/// One message header with room for the control messages a run may need.
struct Message {
  msghdr header{};
  SocketAddress to{};
  iovec piece{};
  alignas(cmsghdr) std::array<char, controlBytes> control{};
};

template <typename T>
void addControl(Message& message, int level, int type, T value) {
  auto* at = reinterpret_cast<cmsghdr*>(message.control.data() + message.header.msg_controllen);
  at->cmsg_level = level;
  at->cmsg_type = type;
  at->cmsg_len = CMSG_LEN(sizeof value);
  memcpy(CMSG_DATA(at), &value, sizeof value);
  message.header.msg_controllen += CMSG_SPACE(sizeof value);
}

void fill(Message& message, const Destination& destination, Bytes bytes, size_t segmentBytes) {
  message.to = toSocketAddress(destination.to);
  message.piece = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
  message.header = {};
  message.header.msg_name = &message.to.any;
  message.header.msg_namelen = message.to.bytes;
  message.header.msg_iov = &message.piece;
  message.header.msg_iovlen = 1;
  message.header.msg_control = message.control.data();
  if (segmentBytes < bytes.size()) {
    addControl(message, IPPROTO_UDP, UDP_SEGMENT, static_cast<uint16_t>(segmentBytes));
  }
  if (destination.ttl) {
    const bool v6 = destination.to.family == Family::v6;
    addControl(message, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_HOPLIMIT : IP_TTL,
               static_cast<int>(*destination.ttl));
  }
  if (message.header.msg_controllen == 0) message.header.msg_control = nullptr;
}

bool refusesSegmentation(int error) {
  return error == EIO || error == EINVAL || error == EMSGSIZE;
}

}  // namespace

SendBatch::SendBatch(const SocketTable& sockets, bool segmentation, bool waits,
                     UpcallRing& upcalls, ThreadCounters& counters)
    : sockets_(sockets),
      segmentation_(segmentation),
      waits_(waits),
      upcalls_(upcalls),
      counters_(counters) {
  runs_.reserve(limits::batch);
}

void SendBatch::add(const Destination& destination, Bytes datagram) {
  const UdpSocket* socket = sockets_.udp(destination.socket);
  if (socket == nullptr) {
    Stream* stream = sockets_.stream(destination.socket);
    if (stream == nullptr) return counters_.drop(DropReason::noSocket);
    return addToStream(*stream, destination, datagram);
  }
  if (socket->bound().family != destination.to.family) {
    return counters_.drop(DropReason::socketError);
  }
  if (extend(destination, datagram)) return;
  if (runs_.size() == limits::batch) flush();
  runs_.push_back({destination, datagram.data(), datagram.size(), datagram.size(), 1});
}

/// A stream leads to one peer only.
void SendBatch::addToStream(Stream& stream, const Destination& destination, Bytes datagram) {
  if (stream.peer() != destination.to) return counters_.drop(DropReason::noSocket);
  const DropReason reason = stream.append(datagram);
  if (reason != DropReason::none) return counters_.drop(reason);
  counters_.datagramsOut.add();
  counters_.bytesOut.add(datagram.size());
  const auto known = std::find(streams_.begin(), streams_.end(), destination.socket);
  if (known == streams_.end()) streams_.push_back(destination.socket);
}

/// A run can grow while every datagram before the new one has the full size.
bool SendBatch::extend(const Destination& destination, Bytes datagram) {
  if (!segmentation_ || runs_.empty() || destination.ttl) return false;
  Run& run = runs_.back();
  const bool fits = run.data + run.bytes == datagram.data() &&
                    run.bytes == run.count * run.segmentBytes &&
                    datagram.size() <= run.segmentBytes &&
                    run.count < limits::segmentsPerSend &&
                    run.bytes + datagram.size() <= limits::datagramBytes;
  if (!fits || run.destination != destination) return false;
  run.bytes += datagram.size();
  run.count++;
  return true;
}

void SendBatch::flush() {
  size_t done = 0;
  while (done < runs_.size()) done += flushFrom(done);
  runs_.clear();
  for (const SocketIndex index : streams_) {
    if (Stream* stream = sockets_.stream(index)) stream->flush();
  }
  streams_.clear();
}

/// Sends runs of one socket from `first` on; returns how many are settled, at least one.
size_t SendBatch::flushFrom(size_t first) {
  if (first + 1 == runs_.size()) {  // a superframe alone: nothing to gather
    if (!sendRun(runs_[first])) handleError(runs_[first], errno);
    return 1;
  }
  std::array<Message, limits::batch> messages;
  std::array<mmsghdr, limits::batch> headers;
  const SocketIndex socket = runs_[first].destination.socket;
  unsigned count = 0;
  for (size_t i = first; i < runs_.size() && runs_[i].destination.socket == socket; i++) {
    const Run& run = runs_[i];
    fill(messages[count], run.destination, {run.data, run.bytes}, run.segmentBytes);
    headers[count].msg_hdr = messages[count].header;
    count++;
  }
  const int sent = sendmmsg(sockets_.udp(socket)->fd(), headers.data(), count, 0);
  if (sent > 0) {
    for (int i = 0; i < sent; i++) countSent(runs_[first + static_cast<size_t>(i)]);
    return static_cast<size_t>(sent);
  }
  handleError(runs_[first], errno);
  return 1;
}

void SendBatch::handleError(const Run& run, int error) {
  if (error == EINTR && sendRun(run)) return;
  if ((error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS) && waits_) {
    pollfd writable{sockets_.udp(run.destination.socket)->fd(), POLLOUT, 0};
    poll(&writable, 1, limits::sendWaitMs);
    if (sendRun(run)) return;
    error = errno;
  }
  if (run.count > 1 && refusesSegmentation(error)) {
    replayOneByOne(run, error);
  } else {
    refuse(run, error);
  }
}

/// EIO and EINVAL mean that the way out cannot segment, if all single datagrams pass there: then
/// UDP_SEGMENT is given up. EMSGSIZE, of the whole or of one of them, is this peer's path only.
void SendBatch::replayOneByOne(const Run& run, int error) {
  bool allPassed = true;
  for (size_t at = 0; at < run.bytes; at += run.segmentBytes) {
    const size_t bytes = std::min(run.segmentBytes, run.bytes - at);
    const Run single{run.destination, run.data + at, bytes, bytes, 1};
    if (sendRun(single)) continue;
    allPassed = false;
    refuse(single, errno);
  }
  if (allPassed && error != EMSGSIZE) segmentation_ = false;
}

void SendBatch::refuse(const Run& run, int error) {
  if (error != EMSGSIZE) return counters_.drop(DropReason::socketError, run.count);
  counters_.drop(DropReason::tooBig, run.count);
  reportSize(run);
}

/// The core looks for a smaller size; the same news twice in a second would not help it.
void SendBatch::reportSize(const Run& run) {
  const uint64_t second = clockMs() / 1'000;
  const SizeRefusedUpcall report{run.destination.socket, run.destination.to,
                                 static_cast<uint32_t>(run.segmentBytes)};
  if (second != reportSecond_) {
    reportSecond_ = second;
    reports_ = 0;
  } else if (reports_ == limits::sizeUpcallsPerSecond || report == reported_) {
    return;
  }
  reports_++;
  reported_ = report;
  if (!upcalls_.push(SizeRefusedUpcall{report})) counters_.drop(DropReason::upcallFull);
}

bool SendBatch::sendRun(const Run& run) {
  Message message;
  fill(message, run.destination, {run.data, run.bytes}, run.segmentBytes);
  if (sendmsg(sockets_.udp(run.destination.socket)->fd(), &message.header, 0) < 0) return false;
  countSent(run);
  return true;
}

void SendBatch::countSent(const Run& run) {
  counters_.datagramsOut.add(run.count);
  counters_.bytesOut.add(run.bytes);
}

}  // namespace weft
