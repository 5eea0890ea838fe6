// Where frames for a MAC go. Each data thread has its own copy, written by the same commands.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "address.h"
#include "commands.h"
#include "keyed-hash.h"

namespace weft {

enum class ForwardKind : uint8_t { miss, session, local, drop };

struct ForwardTarget {
  ForwardKind kind = ForwardKind::miss;
  SessionId session = 0;
};

class ForwardTable {
 public:
  /// False when the table is full of living entries.
  bool set(uint64_t nowMs, const Mac& mac, ForwardTarget target, uint64_t ttlMs);
  void remove(const Mac& mac) { entries_.erase(macKey(mac)); }
  /// Forgets every entry that leads to `session`.
  void removeSession(SessionId session);
  /// An entry past its time is a miss.
  ForwardTarget find(uint64_t nowMs, const Mac& mac) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    ForwardTarget target;
    uint64_t expiresMs;
  };

  std::unordered_map<uint64_t, Entry, KeyedHash> entries_;
  /// Before this no entry can have expired, so a full table is not swept again and again.
  uint64_t nextSweepMs_ = 0;
};

}  // namespace weft
