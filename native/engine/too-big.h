// "Packet too big" (RFC 792 and 1191, RFC 4443) as the machine that sent a frame hears it.
//
// There is no router on the way whose address could stand in the answer, so it comes from the
// packet's own destination, as from the kernel's Ethernet tunnels: an address that the sender has a
// route to through this interface, which passes its reverse-path filter.
#pragma once

#include <cstddef>
#include <vector>

#include "commands.h"
#include "frame-parse.h"

namespace weft {

/// Whether this packet must not be cut: IPv4 with DF, IPv6 above the 1,280 bytes that every IPv6
/// link carries (RFC 8200). @param frameBytes of the frame, or of each segment of a superframe
bool forbidsFragments(Bytes frame, const FrameView& view, size_t frameBytes);

/// Whether an ICMP error may follow this packet (RFC 1122, 3.2.2; RFC 4443, 2.4): not after an ICMP
/// error, a later fragment, or a packet from or to a group.
bool mayBeAnswered(Bytes frame, const FrameView& view);

/// Appends the answer as an Ethernet frame. `frame` may be answered.
/// @param frameRoom the largest frame the path carries
void appendTooBig(std::vector<uint8_t>& to, Bytes frame, const FrameView& view, size_t frameRoom);

}  // namespace weft
