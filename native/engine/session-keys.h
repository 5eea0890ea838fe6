// The two directions of a key pair. SealingKeys belong to the TX thread, which alone owns their
// counter; OpeningKeys to the RX thread with their replay windows.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "aead.h"
#include "commands.h"
#include "drop-reason.h"
#include "engine-limits.h"
#include "replay-window.h"
#include "wire.h"

namespace weft {

/// Saturating: a time-out of 2^64-1 means never.
inline uint64_t deadlineAfter(uint64_t nowMs, uint64_t afterMs) {
  return afterMs > UINT64_MAX - nowMs ? UINT64_MAX : nowMs + afterMs;
}

class SealingKeys {
 public:
  /// Nothing when a length is wrong or the crypto library refuses. `order` grows with every key
  /// pair of the session; `firstCounter` is for tests of the limits.
  static std::optional<SealingKeys> make(uint64_t nowMs, const Keys& keys, uint64_t order,
                                         uint64_t firstCounter = 0);

  /// Seals in place on lane 0: `datagram` is header 16 | inner `innerBytes` | room for the tag 16.
  /// `none`, `expiredKeys`, `counterLimit`, or `badTag` when the crypto library failed.
  DropReason seal(uint64_t nowMs, uint8_t* datagram, size_t innerBytes);
  /// True once, when the keys have sealed limits::rekeyAfterMessages.
  bool takeRekeyDue();

  ReceiverIndex receive() const { return receive_; }
  uint64_t order() const { return order_; }

 private:
  SealingKeys(Aead&& aead, const Keys& keys, uint64_t order);

  Aead aead_;
  wire::Salt salt_{};
  ReceiverIndex send_;
  ReceiverIndex receive_;
  uint64_t order_;
  uint64_t counter_ = 0;
  uint64_t rejectAtMs_ = 0;
  bool rekeyAnnounced_ = false;
};

class OpeningKeys {
 public:
  static std::optional<OpeningKeys> make(uint64_t nowMs, const Keys& keys, uint64_t order);

  struct Opened {
    DropReason reason = DropReason::none;
    bool newest = false;  // the highest counter of its lane so far
  };
  /// Opens in place: descriptor and body are then at datagram + 16. The replay window moves only if
  /// the tag is right.
  Opened open(uint64_t nowMs, const wire::DataHeader& header, std::span<uint8_t> datagram);

  ReceiverIndex receive() const { return receive_; }
  uint64_t order() const { return order_; }

 private:
  OpeningKeys(Aead&& aead, const Keys& keys, uint64_t order);

  Aead aead_;
  wire::Salt salt_{};
  ReceiverIndex receive_;
  uint64_t order_;
  uint64_t rejectAtMs_ = 0;
  /// Made when a lane's first packet was authenticated: most peers use one.
  std::array<std::unique_ptr<ReplayWindow>, limits::lanes> windows_;
};

}  // namespace weft
