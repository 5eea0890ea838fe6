#include "engine-options.h"

#include <algorithm>

namespace weft {
namespace {

using Napi::Object;

SocketOptions readSocket(FieldReader& reader, Napi::Value value) {
  SocketOptions options;
  if (!value.IsObject()) {
    reader.fail("sockets", "an array of {ip, port}");
    return options;
  }
  const Object object = value.As<Object>();
  options.ip = reader.ip(object, "ip");
  const uint32_t port = reader.u32(object, "port");
  if (port > UINT16_MAX) reader.fail("port", "an integer in 0..65535");
  options.port = static_cast<uint16_t>(port);
  return options;
}

/// A descriptor instead of a TAP that the engine opens; the engine owns it from then on.
TapDescriptor readDescriptor(FieldReader& reader, Object from) {
  TapDescriptor descriptor;
  descriptor.fd = static_cast<int>(reader.amount(from, "fd", INT32_MAX));
  descriptor.vnetHeader = reader.has(from, "vnetHeader") && reader.flag(from, "vnetHeader");
  return descriptor;
}

void readOffloads(FieldReader& reader, Object from, OffloadOptions& into) {
  if (reader.has(from, "tapSuperframes")) into.tapSuperframes = reader.flag(from, "tapSuperframes");
  if (reader.has(from, "udpSegment")) into.udpSegment = reader.flag(from, "udpSegment");
  if (reader.has(from, "udpGro")) into.udpGro = reader.flag(from, "udpGro");
}

}  // namespace

TapOptions readTapOptions(FieldReader& reader, Object from) {
  TapOptions options;
  if (reader.has(from, "name")) options.name = reader.text(from, "name");
  if (reader.has(from, "mtu")) options.mtu = reader.u32(from, "mtu");
  if (reader.has(from, "persistent")) options.persistent = reader.flag(from, "persistent");
  if (reader.has(from, "ownerUid")) options.ownerUid = reader.u32(from, "ownerUid");
  if (reader.has(from, "mac")) options.mac = reader.mac(from, "mac");
  if (reader.has(from, "deviceFd")) {
    options.deviceFd = static_cast<int>(reader.amount(from, "deviceFd", INT32_MAX));
  }
  if (reader.has(from, "up")) options.up = reader.flag(from, "up");
  return options;
}

Options readEngineOptions(FieldReader& reader, Object from) {
  Options options;
  const Napi::Array sockets = reader.array(from, "sockets");
  for (uint32_t i = 0; reader.ok() && i < sockets.Length(); i++) {
    options.sockets.push_back(readSocket(reader, reader.at(sockets, i)));
  }
  const Bytes key = reader.bytes(from, "mac1Key");
  if (key.size() != options.mac1Key.size()) reader.fail("mac1Key", "32 bytes long");
  if (reader.ok()) std::copy(key.begin(), key.end(), options.mac1Key.begin());
  if (reader.has(from, "bencode")) options.bencode = reader.flag(from, "bencode");
  if (reader.has(from, "offloads")) {
    readOffloads(reader, reader.object(from, "offloads"), options.offloads);
  }
  if (reader.has(from, "tap")) {
    const Object tap = reader.object(from, "tap");
    if (reader.has(tap, "fd")) {
      options.tap = readDescriptor(reader, tap);
    } else {
      options.tap = readTapOptions(reader, tap);
    }
  }
  return options;
}

}  // namespace weft
