// Every bound of the engine with its reason. The first part is ENGINE_LIMITS of src/base/engine.ts
// and must stay equal to it; the second part is the engine's own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft::limits {

// --- as in src/base/engine.ts ---

/// 1,024 members that all talk, four times over.
inline constexpr size_t sessions = 4'096;
inline constexpr size_t pathsPerSession = 8;
/// 64 bridged machines at each of 1,024 members.
inline constexpr size_t forward = 65'536;
inline constexpr size_t labelsPerSession = 1'024;
/// MACs one peer may speak for (a bridged site), and addresses for one MAC.
inline constexpr size_t macsPerSession = 1'024;
inline constexpr size_t ipsPerMac = 16;
/// Frames that wait for a forwarding decision.
inline constexpr size_t waitingFramesPerMac = 64;
inline constexpr size_t waitingBytesPerMac = 262'144;
inline constexpr size_t waitingBytes = 4'194'304;
inline constexpr uint64_t waitingMs = 3'000;
/// Frames held until the first filter of a session arrives.
inline constexpr size_t heldFramesPerSession = 64;
inline constexpr uint64_t heldMs = 2'000;
inline constexpr uint64_t replayWindow = 8'192;
/// The core is told to rekey here ...
inline constexpr uint64_t rekeyAfterMessages = 1ULL << 27;
/// ... and sealing is refused here, far from a counter that wraps.
inline constexpr uint64_t rejectAfterMessages = 1ULL << 60;
inline constexpr size_t upcalls = 4'096;
inline constexpr size_t upcallBytes = 8'388'608;
/// Largest inner frame including its 14-byte Ethernet header.
inline constexpr size_t frameBytes = 9'216;
/// Largest control message sealed as one datagram.
inline constexpr size_t controlBytes = 8'960;
inline constexpr size_t missHeadBytes = 128;

}  // namespace weft::limits
