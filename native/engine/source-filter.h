// What one peer may say into our network: the check of every frame that leaves a session. A peer is
// a member, yet it may speak only for MACs and addresses that the core confirmed.
#pragma once

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "commands.h"
#include "drop-reason.h"
#include "frame-parse.h"

namespace weft {

/// Who a frame says it is from; the upcall `held` names it.
struct FrameSource {
  Mac mac{};
  std::optional<Ip> ip;  // IPv4 or IPv6 source, ARP sender
};

FrameSource sourceOf(Bytes frame, const FrameView& view);

class SourceFilter {
 public:
  /// Nothing when the entries pass limits::macsPerSession or limits::ipsPerMac.
  static std::optional<SourceFilter> make(std::span<const FilterEntry> entries);

  /// `none` = the frame may pass. `view` is the frame's own.
  DropReason check(Bytes frame, const FrameView& view) const;

 private:
  using Addresses = std::vector<Ip>;

  DropReason checkArp(Bytes frame, const FrameView& view) const;
  DropReason checkNeighbour(Bytes frame, const FrameView& view, const Addresses& own) const;
  bool speaksFor(const Mac& mac) const { return macs_.contains(macKey(mac)); }

  std::unordered_map<uint64_t, Addresses> macs_;
};

/// Whether the core would look at `held` and refresh the filter after such a drop.
inline bool isAboutSource(DropReason reason) {
  return reason == DropReason::sourceMac || reason == DropReason::sourceIp ||
         reason == DropReason::arpSender || reason == DropReason::ndTarget;
}

}  // namespace weft
