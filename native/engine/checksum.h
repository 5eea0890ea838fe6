// The Internet checksum (RFC 1071) and its pseudo-headers.
#pragma once

#include "commands.h"
#include "frame-parse.h"

namespace weft {

/// One's complement sum of big-endian words on top of `sum`; not folded.
uint64_t checksumAdd(Bytes bytes, uint64_t sum = 0);
/// Folds to 16 bits without complementing.
uint16_t checksumFold(uint64_t sum);

/// Folded pseudo-header sum of TCP or UDP: what a partial checksum field holds.
/// @param layer4Bytes length of the TCP or UDP header and payload
uint16_t pseudoHeaderSum(Bytes frame, const FrameView& view, uint32_t layer4Bytes);

/// Recomputes the IPv4 header checksum at `header`, of `headerBytes` bytes.
void writeIpv4Checksum(uint8_t* header, size_t headerBytes);

/// Completes a partial checksum: sums from `start` to the end of the packet and stores the result
/// at start + offset. False when that lies outside of the frame.
bool completeChecksum(std::span<uint8_t> frame, size_t start, size_t offset, size_t end);

/// Where the checksum field is behind the start of a TCP or UDP header.
inline constexpr uint16_t tcpChecksumOffset = 16;
inline constexpr uint16_t udpChecksumOffset = 6;

}  // namespace weft
