// Frames that came as two halves because their path is smaller than they are.
#pragma once

#include <optional>
#include <vector>

#include "commands.h"
#include "drop-reason.h"
#include "engine-limits.h"
#include "wire.h"

namespace weft {

/// A whole frame again, with the descriptor of its first half as kind frame.
struct JoinedFrame {
  wire::Descriptor descriptor;
  std::vector<uint8_t> bytes;
};

/// The halves of one session that wait for the other half; at most limits::fragmentsPending.
class FragmentTable {
 public:
  /// @param body `frame id u32 | part`
  /// Fills `joined` when this half completes a frame. A reason when the half is refused, or
  /// reassemblyFull when the oldest waiting half gave way (this one is kept).
  DropReason add(uint64_t nowMs, const wire::Descriptor& descriptor, Bytes body,
                 std::optional<JoinedFrame>& joined);
  size_t pending() const { return halves_.size(); }

 private:
  struct Half {
    uint32_t id;
    uint64_t expiresMs;
    wire::Descriptor descriptor;
    std::vector<uint8_t> part;
  };

  void expire(uint64_t nowMs);

  std::vector<Half> halves_;  // oldest first
};

}  // namespace weft
