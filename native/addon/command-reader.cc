#include "command-reader.h"

#include <string>
#include <string_view>

#include "engine-limits.h"

namespace weft {
namespace {

using Napi::Object;

/// Millisecond amounts past this mean "for ever"; adding one to the clock cannot overflow.
constexpr uint64_t mostMs = 1ULL << 52;
/// The engine cuts rates further.
constexpr uint64_t mostRate = 1ULL << 52;

uint16_t u16Amount(FieldReader& reader, Object from, const char* field) {
  return static_cast<uint16_t>(reader.amount(from, field, UINT16_MAX));
}

uint8_t u8Amount(FieldReader& reader, Object from, const char* field) {
  return static_cast<uint8_t>(reader.amount(from, field, UINT8_MAX));
}

PathIndex pathIndex(FieldReader& reader, Object from) { return u8Amount(reader, from, "path"); }

DirectionKeys directionKeys(FieldReader& reader, Object from, const char* field) {
  const Object keys = reader.object(from, field);
  return {reader.bytes(keys, "key"), reader.bytes(keys, "salt")};
}

Command readKeys(FieldReader& reader, Object from) {
  Keys keys;
  keys.session = reader.u32(from, "session");
  keys.receive = reader.u32(from, "receive");
  keys.send = reader.u32(from, "send");
  const std::string use = reader.text(from, "use");
  if (use != "now" && use != "confirmed") reader.fail("use", "\"now\" or \"confirmed\"");
  keys.use = use == "confirmed" ? KeyUse::confirmed : KeyUse::now;
  const std::string cipher = reader.text(from, "cipher");
  if (cipher != "aes256gcm" && cipher != "chacha20poly1305") {
    reader.fail("cipher", "\"aes256gcm\" or \"chacha20poly1305\"");
  }
  keys.cipher = cipher == "aes256gcm" ? Cipher::aes256gcm : Cipher::chacha20poly1305;
  keys.sealing = directionKeys(reader, from, "sealing");
  keys.opening = directionKeys(reader, from, "opening");
  keys.rejectAfterMs = reader.amount(from, "rejectAfterMs", mostMs);
  return keys;
}

PathTarget pathTarget(FieldReader& reader, Object from) {
  const Object to = reader.object(from, "to");
  const std::string kind = reader.text(to, "kind");
  if (kind == "direct") {
    return DirectTarget{u16Amount(reader, to, "socket"), reader.endpoint(to, "endpoint")};
  }
  if (kind != "relay") reader.fail("to.kind", "\"direct\" or \"relay\"");
  return RelayTarget{reader.u32(to, "via"), reader.u32(to, "label")};
}

Command readPath(FieldReader& reader, Object from) {
  Path path;
  path.session = reader.u32(from, "session");
  path.path = pathIndex(reader, from);
  path.to = pathTarget(reader, from);
  path.maxDatagram = u16Amount(reader, from, "maxDatagram");
  path.settled = reader.has(from, "settled") && reader.flag(from, "settled");
  path.keepaliveMs = static_cast<uint32_t>(reader.amount(from, "keepaliveMs", UINT32_MAX));
  return path;
}

Command readControl(FieldReader& reader, Object from) {
  Control control;
  control.session = reader.u32(from, "session");
  if (reader.has(from, "path")) control.path = pathIndex(reader, from);
  control.bytes = reader.bytes(from, "bytes");
  if (reader.has(from, "padTo")) control.padTo = u16Amount(reader, from, "padTo");
  if (reader.has(from, "ttl")) control.ttl = u8Amount(reader, from, "ttl");
  return control;
}

Command readDatagram(FieldReader& reader, Object from) {
  Datagram datagram;
  datagram.socket = u16Amount(reader, from, "socket");
  datagram.to = reader.endpoint(from, "to");
  datagram.bytes = reader.bytes(from, "bytes");
  if (reader.has(from, "ttl")) datagram.ttl = u8Amount(reader, from, "ttl");
  return datagram;
}

Command readForward(FieldReader& reader, Object from) {
  Forward forward;
  forward.mac = reader.mac(from, "mac");
  forward.ttlMs = reader.amount(from, "ttlMs", mostMs);
  const Napi::Value to = reader.get(from, "to");
  if (to.IsNumber()) {
    forward.to = reader.u32(from, "to");
    return forward;
  }
  const std::string name = reader.text(from, "to");
  if (name == "local") {
    forward.to = ForwardLocal{};
  } else if (name == "drop") {
    forward.to = ForwardDrop{};
  } else {
    reader.fail("to", "a session, \"local\" or \"drop\"");
  }
  return forward;
}

FilterEntry filterEntry(FieldReader& reader, Object from) {
  FilterEntry entry;
  entry.mac = reader.mac(from, "mac");
  const Napi::Array ips = reader.array(from, "ips");
  for (uint32_t i = 0; reader.ok() && i < ips.Length(); i++) {
    entry.ips.push_back(reader.ip(reader.at(ips, i), "ips"));
  }
  return entry;
}

Command readFilter(FieldReader& reader, Object from) {
  Filter filter;
  filter.session = reader.u32(from, "session");
  const Napi::Array entries = reader.array(from, "entries");
  for (uint32_t i = 0; reader.ok() && i < entries.Length(); i++) {
    const Napi::Value entry = reader.at(entries, i);
    if (!entry.IsObject()) {
      reader.fail("entries", "an array of objects");
      break;
    }
    filter.entries.push_back(filterEntry(reader, entry.As<Object>()));
  }
  return filter;
}

AclRule aclRule(FieldReader& reader, Object from) {
  AclRule rule;
  rule.allow = reader.flag(from, "allow");
  if (reader.has(from, "protocol")) rule.protocol = u8Amount(reader, from, "protocol");
  const Napi::Array ports = reader.array(from, "ports");
  for (uint32_t i = 0; reader.ok() && i < ports.Length(); i++) {
    const Napi::Value range = reader.at(ports, i);
    if (!range.IsObject()) {
      reader.fail("ports", "an array of objects");
      break;
    }
    rule.ports.push_back({u16Amount(reader, range.As<Object>(), "first"),
                          u16Amount(reader, range.As<Object>(), "last")});
  }
  return rule;
}

Command readAcl(FieldReader& reader, Object from) {
  Acl acl;
  acl.session = reader.u32(from, "session");
  if (!reader.has(from, "policy")) return acl;
  const Object policy = reader.object(from, "policy");
  acl.policy.emplace().allowsRest = reader.flag(policy, "allowsRest");
  const Napi::Array rules = reader.array(policy, "rules");
  for (uint32_t i = 0; reader.ok() && i < rules.Length(); i++) {
    const Napi::Value rule = reader.at(rules, i);
    if (!rule.IsObject()) {
      reader.fail("rules", "an array of objects");
      break;
    }
    acl.policy->rules.push_back(aclRule(reader, rule.As<Object>()));
  }
  return acl;
}

Command readLabel(FieldReader& reader, Object from) {
  LabelRoute route;
  route.ingress = reader.u32(from, "ingress");
  route.label = reader.u32(from, "label");
  const Napi::Value to = reader.get(from, "to");
  if (to.IsObject()) {
    const Object object = to.As<Object>();
    route.to = LabelOut{reader.u32(object, "session"), reader.u32(object, "label")};
    return route;
  }
  if (reader.text(from, "to") != "ends-here") reader.fail("to", "an object or \"ends-here\"");
  route.to = LabelEnds{};
  return route;
}

SocketIndex socketIndex(FieldReader& reader, Object from) {
  return u16Amount(reader, from, "socket");
}

Command readSocketOpen(FieldReader& reader, Object from) {
  const uint32_t family = reader.u32(from, "family");
  if (family != 4 && family != 6) reader.fail("family", "4 or 6");
  return SocketOpen{socketIndex(reader, from), family == 6 ? Family::v6 : Family::v4,
                    u16Amount(reader, from, "port")};
}

Command readStreamOpen(FieldReader& reader, Object from) {
  StreamOpen open;
  open.socket = socketIndex(reader, from);
  open.to = reader.endpoint(from, "to");
  if (!reader.has(from, "proxy")) return open;
  const Object proxy = reader.object(from, "proxy");
  open.proxy.emplace().endpoint = reader.endpoint(proxy, "endpoint");
  if (reader.has(proxy, "authorization")) {
    open.proxy->authorization = reader.text(proxy, "authorization");
  }
  return open;
}

Command readOne(FieldReader& reader, Object from) {
  const std::string op = reader.text(from, "op");
  if (op == "control") return readControl(reader, from);
  if (op == "datagram") return readDatagram(reader, from);
  if (op == "frame-to-peer") {
    return FrameToPeer{reader.u32(from, "session"), reader.bytes(from, "bytes")};
  }
  if (op == "frame-to-tap") return FrameToTap{reader.bytes(from, "bytes")};
  if (op == "forward") return readForward(reader, from);
  if (op == "forward-remove") return ForwardRemove{reader.mac(from, "mac")};
  if (op == "filter") return readFilter(reader, from);
  if (op == "acl") return readAcl(reader, from);
  if (op == "keys") return readKeys(reader, from);
  if (op == "path") return readPath(reader, from);
  if (op == "path-active") return PathActive{reader.u32(from, "session"), pathIndex(reader, from)};
  if (op == "path-remove") return PathRemove{reader.u32(from, "session"), pathIndex(reader, from)};
  if (op == "session-open") return SessionOpen{reader.u32(from, "session")};
  if (op == "session-close") return SessionClose{reader.u32(from, "session")};
  if (op == "label") return readLabel(reader, from);
  if (op == "label-remove") {
    return LabelRemove{reader.u32(from, "ingress"), reader.u32(from, "label")};
  }
  if (op == "relay-limit") {
    return RelayLimit{reader.amount(from, "perSession", mostRate),
                      reader.amount(from, "inAll", mostRate)};
  }
  if (op == "socket-open") return readSocketOpen(reader, from);
  if (op == "socket-close") return SocketClose{socketIndex(reader, from)};
  if (op == "stream-open") return readStreamOpen(reader, from);
  if (op == "stream-listen") return StreamListen{u16Amount(reader, from, "port")};
  if (op == "report-traffic") return ReportTraffic{};
  if (op == "carrier") return Carrier{reader.flag(from, "on")};
  reader.fail("op", "the name of a command");
  return ReportTraffic{};
}

}  // namespace

void readCommands(FieldReader& reader, Napi::Array commands, std::vector<Command>& into) {
  if (commands.Length() > limits::mailboxCommands) reader.fail("commands", "a shorter array");
  for (uint32_t i = 0; reader.ok() && i < commands.Length(); i++) {
    reader.enter("commands[" + std::to_string(i) + "]");
    const Napi::Value command = reader.at(commands, i);
    if (command.IsObject()) {
      into.push_back(readOne(reader, command.As<Napi::Object>()));
    } else {
      reader.fail("op", "a field of an object");
    }
  }
}

}  // namespace weft
