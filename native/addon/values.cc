#include "values.h"

#include <arpa/inet.h>

#include <cmath>
#include <cstdio>
#include <cstring>

namespace weft {

void FieldReader::throwProblem() const {
  Napi::TypeError::New(env_, problem_).ThrowAsJavaScriptException();
}

void FieldReader::fail(const std::string& field, const char* expected) {
  if (!ok()) return;
  const std::string where = place_.empty() ? field : place_ + "." + field;
  problem_ = where + " must be " + expected;
}

Napi::Value FieldReader::get(Napi::Object object, const char* field) {
  // an exception out of a getter is reported by the caller's own check of the value
  napi_value value = nullptr;
  if (!ok() || object.IsEmpty()) return env_.Undefined();
  if (napi_get_named_property(env_, object, field, &value) != napi_ok || value == nullptr) {
    if (env_.IsExceptionPending()) env_.GetAndClearPendingException();
    return env_.Undefined();
  }
  return Napi::Value(env_, value);
}

Napi::Value FieldReader::at(Napi::Array array, uint32_t index) {
  napi_value value = nullptr;
  if (napi_get_element(env_, array, index, &value) != napi_ok || value == nullptr) {
    if (env_.IsExceptionPending()) env_.GetAndClearPendingException();
    return env_.Undefined();
  }
  return Napi::Value(env_, value);
}

bool FieldReader::has(Napi::Object object, const char* field) {
  return ok() && !get(object, field).IsUndefined();
}

Napi::Object FieldReader::object(Napi::Object from, const char* field) {
  const Napi::Value value = get(from, field);
  if (value.IsObject()) return value.As<Napi::Object>();
  fail(field, "an object");
  return Napi::Object::New(env_);
}

Napi::Array FieldReader::array(Napi::Object from, const char* field) {
  const Napi::Value value = get(from, field);
  if (value.IsArray()) return value.As<Napi::Array>();
  fail(field, "an array");
  return Napi::Array::New(env_);
}

std::string FieldReader::text(Napi::Object from, const char* field) {
  const Napi::Value value = get(from, field);
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  fail(field, "a string");
  return {};
}

bool FieldReader::flag(Napi::Object from, const char* field) {
  const Napi::Value value = get(from, field);
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  fail(field, "a boolean");
  return false;
}

uint32_t FieldReader::u32(Napi::Object from, const char* field) {
  const Napi::Value value = get(from, field);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (number >= 0 && number <= UINT32_MAX && std::floor(number) == number) {
    return static_cast<uint32_t>(number);
  }
  fail(field, "an integer in 0..4294967295");
  return 0;
}

uint64_t FieldReader::amount(Napi::Object from, const char* field, uint64_t most) {
  const Napi::Value value = get(from, field);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (number >= static_cast<double>(most)) return most;
  if (number >= 0) return static_cast<uint64_t>(number);
  fail(field, "a number that is not negative");
  return 0;
}

Bytes FieldReader::bytes(Napi::Object from, const char* field) {
  const Napi::Value value = get(from, field);
  if (value.IsTypedArray()) {
    const auto array = value.As<Napi::TypedArray>();
    if (array.TypedArrayType() == napi_uint8_array) {
      const auto typed = value.As<Napi::Uint8Array>();
      return Bytes(typed.Data(), typed.ByteLength());
    }
  }
  fail(field, "a Uint8Array");
  return {};
}

Mac FieldReader::mac(Napi::Object from, const char* field) {
  const std::string text = this->text(from, field);
  Mac mac{};
  unsigned octets[6];
  int used = 0;
  const char* form = "%2x:%2x:%2x:%2x:%2x:%2x%n";
  const int found = sscanf(text.c_str(), form, &octets[0], &octets[1], &octets[2], &octets[3],
                           &octets[4], &octets[5], &used);
  if (found != 6 || used != 17 || text.size() != 17) {
    fail(field, "a MAC address like 02:00:5e:10:00:01");
    return mac;
  }
  for (size_t i = 0; i < mac.size(); i++) mac[i] = static_cast<uint8_t>(octets[i]);
  return mac;
}

Ip FieldReader::ip(Napi::Object from, const char* field) { return ip(get(from, field), field); }

Ip FieldReader::ip(Napi::Value value, const char* field) {
  Ip ip;
  if (value.IsString()) {
    const std::string text = value.As<Napi::String>().Utf8Value();
    if (inet_pton(AF_INET, text.c_str(), ip.bytes.data()) == 1) return ip;
    ip.family = Family::v6;
    if (inet_pton(AF_INET6, text.c_str(), ip.bytes.data()) == 1) return ip;
  }
  fail(field, "an IP address");
  return {};
}

Endpoint FieldReader::endpoint(Napi::Object from, const char* field) {
  const Napi::Object object = this->object(from, field);
  const std::string outer = place_;
  place_ = place_.empty() ? field : place_ + "." + field;
  const Ip address = ip(object, "ip");
  const uint32_t port = u32(object, "port");
  if (port > UINT16_MAX) fail("port", "an integer in 0..65535");
  place_ = outer;
  return {address.bytes, address.family, static_cast<uint16_t>(port)};
}

namespace {

/// RFC 5952: the longest run of two or more zero groups, the first of equals, becomes `::`.
std::string ipv6Text(const uint8_t* bytes) {
  uint16_t groups[8];
  for (int i = 0; i < 8; i++) {
    groups[i] = static_cast<uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
  }
  int bestStart = -1;
  int bestLength = 1;
  for (int start = 0; start < 8; start++) {
    int length = 0;
    while (start + length < 8 && groups[start + length] == 0) length++;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  std::string text;
  for (int i = 0; i < 8; i++) {
    if (i == bestStart) {
      text += "::";
      i += bestLength - 1;
      continue;
    }
    char group[6];
    snprintf(group, sizeof group, "%x", groups[i]);
    if (!text.empty() && text.back() != ':') text += ':';
    text += group;
  }
  return text;
}

}  // namespace

std::string ipText(const uint8_t* bytes, Family family) {
  if (family == Family::v6) return ipv6Text(bytes);
  char text[16];
  snprintf(text, sizeof text, "%u.%u.%u.%u", bytes[0], bytes[1], bytes[2], bytes[3]);
  return text;
}

std::string macText(const Mac& mac) {
  char text[18];
  snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
           mac[4], mac[5]);
  return text;
}

Napi::Value ipValue(Napi::Env env, const Ip& ip) {
  return Napi::String::New(env, ipText(ip.bytes.data(), ip.family));
}

Napi::Value endpointValue(Napi::Env env, const Endpoint& endpoint) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("ip", ipText(endpoint.ip.data(), endpoint.family));
  object.Set("port", Napi::Number::New(env, endpoint.port));
  return object;
}

Napi::Value bytesValue(Napi::Env env, Bytes bytes) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, bytes.size());
  if (!bytes.empty()) std::memcpy(array.Data(), bytes.data(), bytes.size());
  return array;
}

}  // namespace weft
