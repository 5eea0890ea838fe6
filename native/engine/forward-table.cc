#include "forward-table.h"

#include <algorithm>
#include <limits>

#include "engine-limits.h"

namespace weft {

bool ForwardTable::set(uint64_t nowMs, const Mac& mac, ForwardTarget target, uint64_t ttlMs) {
  const uint64_t key = macKey(mac);
  const uint64_t never = std::numeric_limits<uint64_t>::max();
  const uint64_t expiresMs = ttlMs > never - nowMs ? never : nowMs + ttlMs;
  if (entries_.size() >= limits::forward && !entries_.contains(key)) {
    if (nowMs < nextSweepMs_) return false;
    nextSweepMs_ = never;
    std::erase_if(entries_, [&](const auto& entry) {
      if (entry.second.expiresMs <= nowMs) return true;
      nextSweepMs_ = std::min(nextSweepMs_, entry.second.expiresMs);
      return false;
    });
    if (entries_.size() >= limits::forward) return false;
  }
  entries_[key] = {target, expiresMs};
  nextSweepMs_ = std::min(nextSweepMs_, expiresMs);
  return true;
}

void ForwardTable::removeSession(SessionId session) {
  std::erase_if(entries_, [session](const auto& entry) {
    return entry.second.target.kind == ForwardKind::session &&
           entry.second.target.session == session;
  });
}

ForwardTarget ForwardTable::find(uint64_t nowMs, const Mac& mac) const {
  const auto found = entries_.find(macKey(mac));
  if (found == entries_.end() || found->second.expiresMs <= nowMs) return {};
  return found->second.target;
}

}  // namespace weft
