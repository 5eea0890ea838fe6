#include "fragments.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

JoinedFrame join(const wire::Descriptor& descriptor, Bytes first, Bytes second) {
  JoinedFrame joined;
  joined.descriptor = descriptor;
  joined.descriptor.kind = wire::Kind::frame;
  joined.descriptor.index = 0;
  joined.descriptor.last = false;
  joined.bytes.reserve(first.size() + second.size());
  joined.bytes.assign(first.begin(), first.end());
  joined.bytes.insert(joined.bytes.end(), second.begin(), second.end());
  return joined;
}

bool isWellFormed(const wire::Descriptor& descriptor, Bytes body) {
  return body.size() > wire::fragmentIdBytes && descriptor.index <= 1 &&
         descriptor.last == (descriptor.index == 1);
}

}  // namespace

DropReason FragmentTable::add(uint64_t nowMs, const wire::Descriptor& descriptor, Bytes body,
                              std::optional<JoinedFrame>& joined) {
  if (!isWellFormed(descriptor, body)) return DropReason::badField;
  const uint32_t id = loadLe<uint32_t>(body.data());
  const Bytes part = body.subspan(wire::fragmentIdBytes);
  expire(nowMs);
  const auto other = std::find_if(halves_.begin(), halves_.end(),
                                  [id](const Half& half) { return half.id == id; });
  if (other != halves_.end()) {
    if (other->descriptor.index == descriptor.index) return DropReason::duplicateFragment;
    if (other->part.size() + part.size() > limits::frameBytes) return DropReason::tooBig;
    joined = descriptor.index == 0 ? join(descriptor, part, other->part)
                                   : join(other->descriptor, other->part, part);
    halves_.erase(other);
    return DropReason::none;
  }
  if (part.size() > limits::frameBytes) return DropReason::tooBig;
  DropReason evicted = DropReason::none;
  if (halves_.size() == limits::fragmentsPending) {
    halves_.erase(halves_.begin());
    evicted = DropReason::reassemblyFull;
  }
  halves_.push_back({id, nowMs + limits::fragmentMs, descriptor, {part.begin(), part.end()}});
  return evicted;
}

void FragmentTable::expire(uint64_t nowMs) {
  std::erase_if(halves_, [nowMs](const Half& half) { return half.expiresMs <= nowMs; });
}

}  // namespace weft
