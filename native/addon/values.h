// JavaScript values to C++ values and back. Reading collects the first mistake with the place it
// was made at ("commands[3].session"), so that a whole batch is read before anything is applied.
#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "commands.h"

namespace weft {

/// Reads fields of JavaScript objects; after the first mistake every answer is a zero value.
class FieldReader {
 public:
  explicit FieldReader(Napi::Env env) : env_(env) {}

  bool ok() const { return problem_.empty(); }
  /// Throws the TypeError that says what was wrong; only when !ok().
  void throwProblem() const;
  /// Where reading is, e.g. `commands[3]`; shown in front of the field's name.
  void enter(std::string place) { place_ = std::move(place); }
  void fail(const std::string& field, const char* expected);

  Napi::Value get(Napi::Object object, const char* field);
  /// Undefined for an element whose getter throws.
  Napi::Value at(Napi::Array array, uint32_t index);
  /// False when the field is missing or undefined.
  bool has(Napi::Object object, const char* field);
  Napi::Object object(Napi::Object from, const char* field);
  Napi::Array array(Napi::Object from, const char* field);
  std::string text(Napi::Object from, const char* field);
  bool flag(Napi::Object from, const char* field);
  /// An integer in 0 .. 2^32 - 1.
  uint32_t u32(Napi::Object from, const char* field);
  /// A number >= 0, rounded down; what is larger than `most` becomes `most` (Infinity too).
  uint64_t amount(Napi::Object from, const char* field, uint64_t most);
  /// Borrowed from the Uint8Array until the call into the addon returns.
  Bytes bytes(Napi::Object from, const char* field);
  Mac mac(Napi::Object from, const char* field);
  Ip ip(Napi::Object from, const char* field);
  Ip ip(Napi::Value value, const char* field);
  Endpoint endpoint(Napi::Object from, const char* field);

 private:
  Napi::Env env_;
  std::string place_;
  std::string problem_;
};

/// Canonical text of src/base/net.ts (IPv6 as RFC 5952, never with a dotted tail).
std::string ipText(const uint8_t* bytes, Family family);
std::string macText(const Mac& mac);
Napi::Value ipValue(Napi::Env env, const Ip& ip);
Napi::Value endpointValue(Napi::Env env, const Endpoint& endpoint);
/// A Uint8Array with a copy of the bytes.
Napi::Value bytesValue(Napi::Env env, Bytes bytes);

}  // namespace weft
