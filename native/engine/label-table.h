// Relay labels: (ingress session, label) -> where the datagram goes next. The shim is not
// authenticated, so a label counts only from an address of its ingress session; the caller checks
// each candidate of a label for that.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "commands.h"
#include "drop-reason.h"
#include "keyed-hash.h"

namespace weft {

struct LabelEntry {
  SessionId ingress = 0;
  bool endsHere = false;
  LabelOut out;
};

class LabelTable {
 public:
  /// `none`, or tableFull past limits::labelsPerSession or limits::sessionsPerLabel.
  DropReason set(const LabelRoute& route);
  /// False when the ingress has no such label.
  bool remove(SessionId ingress, Label label);
  /// Labels of that ingress, and those that lead out to the session.
  void removeSession(SessionId session);
  /// Every ingress that uses this label value; empty when nobody does.
  std::span<LabelEntry> find(Label label);

 private:
  using Candidates = std::vector<LabelEntry>;

  void forgetOne(SessionId ingress);

  std::unordered_map<uint64_t, Candidates, KeyedHash> labels_;
  std::unordered_map<SessionId, size_t> perSession_;
};

}  // namespace weft
