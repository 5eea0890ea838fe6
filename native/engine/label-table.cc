#include "label-table.h"

#include <algorithm>

#include "engine-limits.h"

namespace weft {

DropReason LabelTable::set(const LabelRoute& route) {
  if (route.label == 0) return DropReason::badField;
  Candidates& candidates = labels_[route.label];
  auto at = std::find_if(candidates.begin(), candidates.end(), [&](const LabelEntry& entry) {
    return entry.ingress == route.ingress;
  });
  if (at == candidates.end()) {
    size_t& used = perSession_[route.ingress];
    if (used >= limits::labelsPerSession || candidates.size() >= limits::sessionsPerLabel) {
      if (candidates.empty()) labels_.erase(route.label);
      if (used == 0) perSession_.erase(route.ingress);
      return DropReason::tableFull;
    }
    used++;
    at = candidates.insert(at, LabelEntry{});
  }
  at->ingress = route.ingress;
  const LabelOut* out = std::get_if<LabelOut>(&route.to);
  at->endsHere = out == nullptr;
  at->out = out != nullptr ? *out : LabelOut{};
  return DropReason::none;
}

bool LabelTable::remove(SessionId ingress, Label label) {
  const auto found = labels_.find(label);
  if (found == labels_.end()) return false;
  const size_t removed = std::erase_if(
      found->second, [ingress](const LabelEntry& entry) { return entry.ingress == ingress; });
  if (removed > 0) forgetOne(ingress);
  if (found->second.empty()) labels_.erase(found);
  return removed > 0;
}

void LabelTable::removeSession(SessionId session) {
  for (auto at = labels_.begin(); at != labels_.end();) {
    std::erase_if(at->second, [&](const LabelEntry& entry) {
      const bool gone =
          entry.ingress == session || (!entry.endsHere && entry.out.session == session);
      if (gone && entry.ingress != session) forgetOne(entry.ingress);
      return gone;
    });
    at = at->second.empty() ? labels_.erase(at) : std::next(at);
  }
  perSession_.erase(session);
}

std::span<LabelEntry> LabelTable::find(Label label) {
  const auto found = labels_.find(label);
  if (found == labels_.end()) return {};
  return found->second;
}

void LabelTable::forgetOne(SessionId ingress) {
  const auto found = perSession_.find(ingress);
  if (found != perSession_.end() && --found->second == 0) perSession_.erase(found);
}

}  // namespace weft
