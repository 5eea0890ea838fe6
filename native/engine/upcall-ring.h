// The bounded queue of upcalls on their way to the core, with its doorbell.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "upcalls.h"

namespace weft {

/// Any thread pushes, the owner drains. Upcalls are the slow path, so one lock is enough; data
/// never waits for it longer than a push or a swap of two vectors.
class UpcallRing {
 public:
  UpcallRing(void (*doorbell)(void*), void* context) : doorbell_(doorbell), context_(context) {}

  /// False when the ring is full and the upcall was dropped. Rings at most once until `drain`.
  bool push(Upcall&& upcall);
  /// Whether an upcall of that size would be dropped: lets the caller save the copy.
  bool isFull(size_t bytes);
  /// Appends everything, oldest first, and re-arms the doorbell.
  void drain(std::vector<Upcall>& into);

 private:
  bool fits(const Upcall& upcall, size_t bytes) const;

  void (*doorbell_)(void*);
  void* context_;
  std::mutex mutex_;
  std::vector<Upcall> upcalls_;
  size_t bytes_ = 0;
  size_t strangers_ = 0;  // datagrams of no session among them
  size_t unproven_ = 0;   // and of these, first messages without a cookie
  bool rung_ = false;
};

}  // namespace weft
