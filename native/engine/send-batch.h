// Datagrams on their way to the kernel: neighbours of one size to one peer become one UDP_SEGMENT
// send, and several such runs one sendmmsg. What leaves by a stream waits in the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "commands.h"
#include "counters.h"
#include "engine-limits.h"
#include "socket-table.h"
#include "upcall-ring.h"

namespace weft {

struct Destination {
  SocketIndex socket = 0;
  Endpoint to;
  std::optional<uint8_t> ttl;

  bool operator==(const Destination&) const = default;
};

/// Not thread-safe: one for each data thread. Bytes are borrowed until `flush`.
class SendBatch {
 public:
  /// @param waits whether a full socket buffer is waited for (limits::sendWaitMs) before dropping
  SendBatch(const SocketTable& sockets, bool segmentation, bool waits,
            UpcallRing& upcalls, ThreadCounters& counters);

  /// Queues one datagram; flushes first when the batch is full.
  void add(const Destination& destination, Bytes datagram);
  /// Hands everything to the kernel; what it refuses is counted, never retried later.
  void flush();
  bool empty() const { return runs_.empty() && streams_.empty(); }
  /// UDP_SEGMENT is in use (it is given up when the kernel or the device refuses it).
  bool segmentation() const { return segmentation_; }

 private:
  /// Contiguous datagrams of `segmentBytes` each; the last may be shorter.
  struct Run {
    Destination destination;
    const uint8_t* data;
    size_t bytes;
    size_t segmentBytes;
    size_t count;
  };

  void addToStream(Stream& stream, const Destination& destination, Bytes datagram);
  bool extend(const Destination& destination, Bytes datagram);
  size_t flushFrom(size_t first);
  void handleError(const Run& run, int error);
  void replayOneByOne(const Run& run, int error);
  void refuse(const Run& run, int error);
  void reportSize(const Run& run);
  bool sendRun(const Run& run);
  void countSent(const Run& run);

  const SocketTable& sockets_;
  bool segmentation_;
  bool waits_;
  UpcallRing& upcalls_;
  ThreadCounters& counters_;
  std::vector<Run> runs_;
  std::vector<SocketIndex> streams_;  // those that got something since the last flush
  SizeRefusedUpcall reported_;  // the last one
  uint64_t reportSecond_ = 0;   // the second that reports_ counts in
  uint32_t reports_ = 0;
};

}  // namespace weft
