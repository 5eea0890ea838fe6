// What a member may say: the filter of every opened frame, ARP and neighbour discovery included.
#include "source-filter.h"

#include "bytes.h"
#include "input.h"
#include "members.h"

using namespace weft;
using fuzz::require;

namespace {

bool isOwn(const Ip& ip) {
  const auto own = fuzz::addressesOfA();
  return std::find(own.begin(), own.end(), ip) != own.end();
}

}  // namespace

FUZZ_TARGET(input) {
  static const SourceFilter filter = fuzz::filterOfA();
  const auto frame = fuzz::copyOf(input.rest());
  FrameView view;
  if (parseFrame(frame, view) != DropReason::none) return;
  const FrameSource source = sourceOf(frame, view);
  if (filter.check(frame, view) != DropReason::none) return;
  require(source.mac == fuzz::macA);
  if (view.layer3 == Layer3::ipv4) require(isOwn(*source.ip));
  const Bytes layer4 = layer4Of(frame, view);
  require(!isUdpFrom(layer4, view, view.layer3 == Layer3::ipv4 ? 67 : 547));
}
