// Ethernet, VLAN, IPv4, IPv6 with extension headers, ARP: the one walk that all later steps trust.
#include "frame-parse.h"

#include "input.h"

using namespace weft;
using fuzz::require;

FUZZ_TARGET(input) {
  const auto frame = fuzz::copyOf(input.rest());
  FrameView view;
  const DropReason reason = parseFrame(frame, view);
  require(reason == DropReason::none || reason == DropReason::shortFrame ||
          reason == DropReason::badField);
  if (reason != DropReason::none) return;
  require(view.layer3Offset >= etherHeaderBytes && view.layer3Offset <= view.end);
  require(view.end <= frame.size());
  if (view.layer4Offset != 0) {
    require(view.layer4Offset > view.layer3Offset && view.layer4Offset <= view.end);
  }
  const Bytes layer4 = layer4Of(frame, view);
  isUdpFrom(layer4, view, 67);
  isUdpTo(layer4, view, 67);
}
