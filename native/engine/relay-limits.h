// How much is relayed for others: so much from one member, so much to one member, so much in all.
// The labels of a member share what is its own, or a member with many circuits would have many
// times the rate.
#pragma once

#include <algorithm>
#include <cstdint>

#include "commands.h"
#include "drop-reason.h"

namespace weft {

/// Bytes that may pass: one second of its rate, and never less than the first window of a TCP
/// sender. Full at the start.
class ByteBucket {
 public:
  bool holds(uint64_t nowMs, uint64_t bytesPerSecond, uint64_t bytes) {
    const uint64_t passedMs = std::min(nowMs - filledMs_, mostPassedMs);
    const uint64_t gained = bytesPerSecond * passedMs / 1000;
    if (gained > 0) {
      level_ = std::min(std::max(bytesPerSecond, leastBurst), level_ + gained);
      filledMs_ = nowMs;
    }
    return level_ >= bytes;
  }
  /// Only after `holds` said yes to them.
  void take(uint64_t bytes) { level_ -= bytes; }

 private:
  static constexpr uint64_t leastBurst = 65'536;
  /// The least rate of `relay:` has filled the least burst by then.
  static constexpr uint64_t mostPassedMs = 10'000;

  uint64_t level_ = 0;
  uint64_t filledMs_ = 0;
};

/// What one session has left.
struct RelayBuckets {
  ByteBucket from;
  ByteBucket to;
};

class RelayLimits {
 public:
  void set(const RelayLimit& limit) {
    perSession_ = std::min(limit.perSession, mostRate);
    inAll_ = std::min(limit.inAll, mostRate);
  }

  /// `none`, and then the bytes are taken from all three; else nothing is taken from any.
  DropReason admit(uint64_t nowMs, RelayBuckets& ingress, RelayBuckets& egress, uint64_t bytes) {
    const bool limited = perSession_ != 0;
    if (limited && (!ingress.from.holds(nowMs, perSession_, bytes) ||
                    !egress.to.holds(nowMs, perSession_, bytes))) {
      return DropReason::relayMemberRate;
    }
    if (inAll_ != 0) {
      if (!all_.holds(nowMs, inAll_, bytes)) return DropReason::relayTotalRate;
      all_.take(bytes);
    }
    if (limited) {
      ingress.from.take(bytes);
      egress.to.take(bytes);
    }
    return DropReason::none;
  }

 private:
  /// A petabyte a second: no rate overflows when it is multiplied with a time.
  static constexpr uint64_t mostRate = 1'000'000'000'000'000;

  uint64_t perSession_ = 0;
  uint64_t inAll_ = 0;
  ByteBucket all_;
};

}  // namespace weft
