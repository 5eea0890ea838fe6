// What the engine tells the core: one struct for each Upcall of src/base/engine.ts. Bytes are owned
// by the receiver.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "address.h"
#include "commands.h"

namespace weft {

struct DatagramUpcall {
  SocketIndex socket = 0;
  Endpoint from;
  std::vector<uint8_t> bytes;
  /// A handshake's first message without a cookie: whoever sent it may be anywhere.
  bool unproven = false;
};
struct ControlUpcall {
  SessionId session = 0;
  std::optional<PathIndex> path;
  SocketIndex socket = 0;
  std::optional<Endpoint> from;
  uint32_t datagramBytes = 0;
  std::vector<uint8_t> bytes;
};
struct KeysConfirmedUpcall {
  SessionId session = 0;
  ReceiverIndex receive = 0;
};
struct EndpointUpcall {
  SessionId session = 0;
  SocketIndex socket = 0;
  Endpoint from;
};
struct SizeRefusedUpcall {
  SocketIndex socket = 0;
  Endpoint to;
  uint32_t datagramBytes = 0;

  bool operator==(const SizeRefusedUpcall&) const = default;
};
struct RekeyDueUpcall {
  SessionId session = 0;
};
struct MissUpcall {
  Mac mac{};
  std::vector<uint8_t> head;
};
struct FrameUpcall {
  std::vector<uint8_t> bytes;
};
struct HeldUpcall {
  SessionId session = 0;
  Mac mac{};
  std::optional<Ip> ip;
};
/// What passed since the session was opened; bytes of inner frames unless the name says otherwise.
struct SessionTraffic {
  SessionId session = 0;
  uint64_t framesIn = 0;
  uint64_t framesOut = 0;
  uint64_t bytesIn = 0;
  uint64_t bytesOut = 0;
  uint64_t controlBytesIn = 0;
  uint64_t controlBytesOut = 0;
  uint64_t relayedBytes = 0;
  std::optional<uint64_t> silentMs;
};
struct TrafficUpcall {
  std::vector<SessionTraffic> sessions;
};
/// Why a socket or a stream could not be had; names as in src/base/engine.ts.
enum class SocketFailure : uint8_t {
  inUse,
  notPermitted,
  unsupported,
  refused,
  unreachable,
  timedOut,
  proxyRefused,
  proxyAuthorization,
  tls,
  limit,
  system,
};

inline constexpr std::array<std::string_view, 11> socketFailureNames = {
    "in-use",    "not-permitted", "unsupported",         "refused", "unreachable",
    "timed-out", "proxy-refused", "proxy-authorization", "tls",     "limit",
    "system",
};

struct SocketOpenedUpcall {
  SocketIndex socket = 0;
  Family family = Family::v4;
  uint16_t port = 0;
  std::optional<Endpoint> from;  // accepted streams only
};
struct SocketFailedUpcall {
  SocketIndex socket = 0;
  SocketFailure reason = SocketFailure::system;
};
struct SocketClosedUpcall {
  SocketIndex socket = 0;
};
struct ListeningUpcall {
  uint16_t port = 0;
};
struct ListenFailedUpcall {
  uint16_t port = 0;
  SocketFailure reason = SocketFailure::system;
};

using Upcall = std::variant<DatagramUpcall, ControlUpcall, KeysConfirmedUpcall, EndpointUpcall,
                            SizeRefusedUpcall, RekeyDueUpcall, MissUpcall, FrameUpcall, HeldUpcall,
                            TrafficUpcall, SocketOpenedUpcall, SocketFailedUpcall,
                            SocketClosedUpcall, ListeningUpcall, ListenFailedUpcall>;

}  // namespace weft
