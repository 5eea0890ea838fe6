#include "upcall-ring.h"

#include <utility>

#include "engine-limits.h"

namespace weft {
namespace {

/// What an upcall costs beside its bytes.
constexpr size_t overheadBytes = sizeof(Upcall);

size_t payloadOf(const Upcall& upcall) {
  if (const auto* datagram = std::get_if<DatagramUpcall>(&upcall)) return datagram->bytes.size();
  if (const auto* control = std::get_if<ControlUpcall>(&upcall)) return control->bytes.size();
  if (const auto* miss = std::get_if<MissUpcall>(&upcall)) return miss->head.size();
  if (const auto* frame = std::get_if<FrameUpcall>(&upcall)) return frame->bytes.size();
  if (const auto* traffic = std::get_if<TrafficUpcall>(&upcall)) {
    return traffic->sessions.size() * sizeof(SessionTraffic);
  }
  return 0;
}

}  // namespace

bool UpcallRing::push(Upcall&& upcall) {
  const size_t bytes = payloadOf(upcall) + overheadBytes;
  bool ring = false;
  {
    const std::lock_guard lock(mutex_);
    if (!fits(upcall, bytes)) return false;
    if (const auto* datagram = std::get_if<DatagramUpcall>(&upcall)) {
      strangers_++;
      if (datagram->unproven) unproven_++;
    }
    upcalls_.push_back(std::move(upcall));
    bytes_ += bytes;
    ring = !std::exchange(rung_, true);
  }
  if (ring && doorbell_ != nullptr) doorbell_(context_);
  return true;
}

bool UpcallRing::isFull(size_t bytes) {
  const std::lock_guard lock(mutex_);
  return upcalls_.size() >= limits::upcalls ||
         bytes_ + bytes + overheadBytes > limits::upcallBytes;
}

void UpcallRing::drain(std::vector<Upcall>& into) {
  std::vector<Upcall> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(upcalls_);
    bytes_ = 0;
    strangers_ = 0;
    unproven_ = 0;
    rung_ = false;
  }
  into.insert(into.end(), std::make_move_iterator(taken.begin()),
              std::make_move_iterator(taken.end()));
}

bool UpcallRing::fits(const Upcall& upcall, size_t bytes) const {
  if (upcalls_.size() >= limits::upcalls || bytes_ + bytes > limits::upcallBytes) return false;
  const auto* datagram = std::get_if<DatagramUpcall>(&upcall);
  if (datagram == nullptr) return true;
  return strangers_ < limits::strangerUpcalls &&
         (!datagram->unproven || unproven_ < limits::unprovenUpcalls);
}

}  // namespace weft
