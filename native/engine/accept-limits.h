// How many streams strangers may make us set up, so that a flood of connections costs the data
// plane little and keeps nobody else out for long.
#pragma once

#include <array>
#include <cstdint>

#include "address.h"
#include "engine-limits.h"
#include "event-rate.h"
#include "keyed-hash.h"

namespace weft {

/// An IPv4 address, or the /64 that one IPv6 host commands.
inline uint64_t sourceKey(const Endpoint& from) {
  uint64_t key = 0;
  std::memcpy(&key, from.ip.data(), from.family == Family::v6 ? 8 : 4);
  return key;
}

/// Accepted streams at the time of a newcomer: unproven ones carried nothing authentic yet.
struct StreamCounts {
  size_t ofSource = 0;  // the newcomer's
  size_t unproven = 0;
  size_t unprovenOfSource = 0;
};

enum class StreamRoom : uint8_t { free, oldestUnproven, none };

/// What a newcomer is given: a free place, that of the oldest unproven stream, or nothing.
inline StreamRoom roomFor(const StreamCounts& counts) {
  if (counts.ofSource >= limits::streamsPerSource) return StreamRoom::none;
  if (counts.unprovenOfSource >= limits::streamsUnprovenPerSource) return StreamRoom::none;
  const bool full = counts.unproven >= limits::streamsUnproven;
  return full ? StreamRoom::oldestUnproven : StreamRoom::free;
}

class AcceptLimits {
 public:
  AcceptLimits() { sources_.fill(EventRate(limits::streamAcceptsPerSourceSecond)); }

  /// Whether a connection from there may cost us a handshake now.
  bool admits(uint64_t nowMs, const Endpoint& from) {
    return sources_[KeyedHash{}(sourceKey(from)) % sources_.size()].take(nowMs) &&
           all_.take(nowMs);
  }

 private:
  EventRate all_{limits::streamAcceptsPerSecond};
  // Sources share a place by chance and by a hash that they cannot foresee.
  std::array<EventRate, 256> sources_;
};

}  // namespace weft
