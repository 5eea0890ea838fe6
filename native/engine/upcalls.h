// What the engine tells the core: one struct for each Upcall of src/base/engine.ts. Bytes are owned
// by the receiver.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "address.h"
#include "commands.h"

namespace weft {

struct DatagramUpcall {
  SocketIndex socket = 0;
  Endpoint from;
  std::vector<uint8_t> bytes;
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

using Upcall = std::variant<DatagramUpcall, ControlUpcall, KeysConfirmedUpcall, EndpointUpcall,
                            SizeRefusedUpcall, RekeyDueUpcall, MissUpcall, FrameUpcall, HeldUpcall,
                            TrafficUpcall>;

}  // namespace weft
