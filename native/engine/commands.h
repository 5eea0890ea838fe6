// What the core may ask of the engine: one struct for each EngineCommand of src/base/engine.ts.
// Spans are borrowed until Engine::apply returns.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "address.h"

namespace weft {

using Bytes = std::span<const uint8_t>;

/// u32, not zero: one association with a peer, outlives rekeying.
using SessionId = uint32_t;
/// u32 chosen at random by the side that receives with it.
using ReceiverIndex = uint32_t;
/// 0 .. limits::pathsPerSession - 1
using PathIndex = uint8_t;
/// Options::sockets, then what commands opened, then accepted streams (limits::acceptedStreams).
using SocketIndex = uint16_t;
/// Relay label, not zero; it has meaning only with the session it arrives on.
using Label = uint32_t;

enum class Cipher : uint8_t { aes256gcm, chacha20poly1305 };

/// One direction of one key pair. A wrong length makes the command ignored (counted `bad-field`).
struct DirectionKeys {
  Bytes key;   // 32 bytes
  Bytes salt;  // 4 bytes, the last one is replaced by the lane in each nonce
};

struct DirectTarget {
  SocketIndex socket = 0;
  Endpoint endpoint;
};
/// `via` is a session whose active path is direct, never another relay path.
struct RelayTarget {
  SessionId via = 0;
  Label label = 0;
};
using PathTarget = std::variant<DirectTarget, RelayTarget>;

struct FilterEntry {
  Mac mac{};
  std::vector<Ip> ips;
};

struct SessionOpen {
  SessionId session = 0;
};
enum class KeyUse : uint8_t { now, confirmed };
struct Keys {
  SessionId session = 0;
  ReceiverIndex receive = 0;
  ReceiverIndex send = 0;
  KeyUse use = KeyUse::now;
  Cipher cipher = Cipher::aes256gcm;
  DirectionKeys sealing;
  DirectionKeys opening;
  uint64_t rejectAfterMs = 0;
};
struct SessionClose {
  SessionId session = 0;
};
struct Path {
  SessionId session = 0;
  PathIndex path = 0;
  PathTarget to;
  uint16_t maxDatagram = 1200;
  bool settled = false;
  uint32_t keepaliveMs = 0;
};
struct PathRemove {
  SessionId session = 0;
  PathIndex path = 0;
};
struct PathActive {
  SessionId session = 0;
  PathIndex path = 0;
};
struct Control {
  SessionId session = 0;
  std::optional<PathIndex> path;
  Bytes bytes;
  std::optional<uint16_t> padTo;
  std::optional<uint8_t> ttl;
};
struct Datagram {
  SocketIndex socket = 0;
  Endpoint to;
  Bytes bytes;
  std::optional<uint8_t> ttl;
};
struct ForwardLocal {};
struct ForwardDrop {};
struct Forward {
  Mac mac{};
  std::variant<SessionId, ForwardLocal, ForwardDrop> to;
  uint64_t ttlMs = 0;
};
struct ForwardRemove {
  Mac mac{};
};
struct FrameToTap {
  Bytes bytes;
};
struct FrameToPeer {
  SessionId session = 0;
  Bytes bytes;
};
struct Filter {
  SessionId session = 0;
  std::vector<FilterEntry> entries;
};
/// Destination ports, both included.
struct AclPorts {
  uint16_t first = 0;
  uint16_t last = 0;
};
struct AclRule {
  bool allow = false;
  std::optional<uint8_t> protocol;  // nothing = whatever, ICMP = ICMPv6 too
  std::vector<AclPorts> ports;      // empty = all; only with TCP or UDP
};
struct AclPolicy {
  bool allowsRest = false;
  std::vector<AclRule> rules;  // the first that matches decides
};
class AclTable;
class AclFlows;
/// Without a policy the peer may begin whatever it likes. One past the bounds is refused: the
/// session keeps the rules it has, and where it has none it lets nothing in until good ones come.
struct Acl {
  SessionId session = 0;
  std::optional<AclPolicy> policy;
  /// Filled by the engine for its threads: the policy in its quick form, and the one flow table.
  std::shared_ptr<const AclTable> table;
  std::shared_ptr<AclFlows> flows;
  /// In place of a policy that was refused: rules that are there stay.
  bool onlyWhereNone = false;
};
struct LabelOut {
  SessionId session = 0;
  Label label = 0;
};
struct LabelEnds {};
struct LabelRoute {
  SessionId ingress = 0;
  Label label = 0;
  std::variant<LabelOut, LabelEnds> to;
};
struct LabelRemove {
  SessionId ingress = 0;
  Label label = 0;
};
/// Bytes per second, 0 = no limit.
struct RelayLimit {
  uint64_t perSession = 0;
  uint64_t inAll = 0;
};
struct SocketOpen {
  SocketIndex socket = 0;
  Family family = Family::v4;
  uint16_t port = 0;
};
struct StreamProxy {
  Endpoint endpoint;
  std::string authorization;  // empty = none
};
struct StreamOpen {
  SocketIndex socket = 0;
  Endpoint to;
  std::optional<StreamProxy> proxy;
};
struct StreamListen {
  uint16_t port = 0;
};
struct SocketClose {
  SocketIndex socket = 0;
};
struct ReportTraffic {};
struct Carrier {
  bool on = true;
};

using Command =
    std::variant<SessionOpen, Keys, SessionClose, Path, PathRemove, PathActive, Control, Datagram,
                 Forward, ForwardRemove, FrameToTap, FrameToPeer, Filter, Acl, LabelRoute,
                 LabelRemove, RelayLimit, ReportTraffic, Carrier, SocketOpen, StreamOpen,
                 StreamListen, SocketClose>;

}  // namespace weft
