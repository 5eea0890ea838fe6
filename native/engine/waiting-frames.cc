#include "waiting-frames.h"

#include <utility>

#include "engine-limits.h"

namespace weft {

WaitingFrames::Added WaitingFrames::add(uint64_t nowMs, const Mac& mac, TapFrame&& frame) {
  const uint64_t key = macKey(mac);
  if (queues_.size() >= limits::waitingMacs && !queues_.contains(key)) {
    return {DropReason::waitingFull, false};
  }
  Queue& queue = queues_[key];
  const size_t frameBytes = frame.bytes.size();
  Added added;
  if (fits(queue, frameBytes)) {
    queue.frames.push_back({nowMs + limits::waitingMs, std::move(frame)});
    queue.bytes += frameBytes;
    bytes_ += frameBytes;
  } else {
    added.reason = DropReason::waitingFull;
  }
  added.announce = nowMs >= queue.nextMissMs && !queue.frames.empty();
  if (added.announce) queue.nextMissMs = nowMs + limits::missIntervalMs;
  if (queue.frames.empty()) queues_.erase(key);
  return added;
}

std::vector<TapFrame> WaitingFrames::take(uint64_t nowMs, const Mac& mac, size_t& expired) {
  std::vector<TapFrame> taken;
  const auto found = queues_.find(macKey(mac));
  if (found == queues_.end()) return taken;
  Queue& queue = found->second;
  expired += expireQueue(nowMs, queue);
  taken.reserve(queue.frames.size());
  for (Waiting& waiting : queue.frames) taken.push_back(std::move(waiting.frame));
  bytes_ -= queue.bytes;
  queues_.erase(found);
  return taken;
}

size_t WaitingFrames::expire(uint64_t nowMs) {
  size_t dropped = 0;
  for (auto at = queues_.begin(); at != queues_.end();) {
    dropped += expireQueue(nowMs, at->second);
    at = at->second.frames.empty() ? queues_.erase(at) : std::next(at);
  }
  return dropped;
}

size_t WaitingFrames::expireQueue(uint64_t nowMs, Queue& queue) {
  size_t dropped = 0;
  while (!queue.frames.empty() && queue.frames.front().expiresMs <= nowMs) {
    const size_t frameBytes = queue.frames.front().frame.bytes.size();
    queue.bytes -= frameBytes;
    bytes_ -= frameBytes;
    queue.frames.pop_front();
    dropped++;
  }
  return dropped;
}

bool WaitingFrames::fits(const Queue& queue, size_t frameBytes) const {
  return queue.frames.size() < limits::waitingFramesPerMac &&
         queue.bytes + frameBytes <= limits::waitingBytesPerMac &&
         bytes_ + frameBytes <= limits::waitingBytes;
}

}  // namespace weft
