#include "tap-object.h"

#include <optional>
#include <string>
#include <utility>

#include "engine-limits.h"
#include "engine-object.h"
#include "engine-options.h"
#include "values.h"

namespace weft {

using Napi::CallbackInfo;
using Napi::Number;
using Napi::Object;

Napi::Function TapObject::define(Napi::Env env) {
  return DefineClass(env, "Tap",
                     {
                         InstanceMethod("read", &TapObject::read),
                         InstanceMethod("write", &TapObject::write),
                         InstanceMethod("whenReadable", &TapObject::whenReadable),
                         InstanceMethod("facts", &TapObject::facts),
                         InstanceMethod("set", &TapObject::set),
                         InstanceMethod("close", &TapObject::close),
                     });
}

/// new Tap({name, mtu, persistent, ownerUid, mac, up}) opens an interface; new Tap({fd}) takes over
/// a descriptor that keeps packet borders.
TapObject::TapObject(const CallbackInfo& info) : Napi::ObjectWrap<TapObject>(info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) {
    Napi::TypeError::New(env, "options must be an object").ThrowAsJavaScriptException();
    return;
  }
  FieldReader reader(env);
  reader.enter("options");
  const Object from = info[0].As<Object>();
  const bool isForeign = reader.has(from, "fd");
  const int fd = isForeign ? static_cast<int>(reader.amount(from, "fd", INT32_MAX)) : -1;
  const TapOptions options = readTapOptions(reader, from);
  if (!reader.ok()) {
    reader.throwProblem();
    return;
  }
  if (isForeign) {
    tap_ = Tap::adopt(fd, false);
    return;
  }
  auto opened = Tap::open(options);
  if (const auto* error = std::get_if<OpenError>(&opened)) {
    throwOpenError(env, *error);
    return;
  }
  tap_ = std::move(std::get<Tap>(opened));
}

/// One frame; a negative errno otherwise (-EAGAIN: nothing there now).
Napi::Value TapObject::read(const CallbackInfo& info) {
  uint8_t buffer[limits::frameBytes];
  const ssize_t bytes = tap_.read(buffer);
  if (bytes < 0) return Number::New(info.Env(), static_cast<double>(bytes));
  return bytesValue(info.Env(), Bytes(buffer, static_cast<size_t>(bytes)));
}

/// 0 or -errno.
Napi::Value TapObject::write(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsTypedArray() ||
      info[0].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    Napi::TypeError::New(env, "frame must be a Uint8Array").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const auto frame = info[0].As<Napi::Uint8Array>();
  const ssize_t bytes = tap_.write(Bytes(frame.Data(), frame.ByteLength()));
  return Number::New(env, bytes < 0 ? static_cast<double>(bytes) : 0);
}

/// whenReadable(callback): once, when a read is worth trying or when the TAP is closed. Keeps the
/// event loop alive meanwhile.
Napi::Value TapObject::whenReadable(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsFunction()) {
    Napi::TypeError::New(env, "callback must be a function").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  if (!watch_.callOnce(tap_.fd(), info[0].As<Napi::Function>())) {
    Napi::Error::New(env, "this TAP cannot be watched").ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

TapObject::~TapObject() { watch_.stop(); }

/// {name, fd, mtu, mac}; mtu and mac are undefined when there is no interface behind it.
Napi::Value TapObject::facts(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto mtu = tap_.mtu();
  const auto mac = tap_.mac();
  Object object = Object::New(env);
  object.Set("name", tap_.name());
  object.Set("fd", Number::New(env, tap_.fd()));
  object.Set("mtu", mtu ? Number::New(env, *mtu) : env.Undefined());
  object.Set("mac", mac ? Napi::String::New(env, macText(*mac)) : env.Undefined());
  return object;
}

/// set({mtu?, mac?, up?, carrier?, persistent?}): 0 or the first -errno.
Napi::Value TapObject::set(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  FieldReader reader(env);
  const Object from = info[0].IsObject() ? info[0].As<Object>() : Object::New(env);
  std::optional<uint32_t> mtu;
  std::optional<Mac> mac;
  std::optional<bool> up, carrier, persistent;
  if (reader.has(from, "mtu")) mtu = reader.u32(from, "mtu");
  if (reader.has(from, "mac")) mac = reader.mac(from, "mac");
  if (reader.has(from, "up")) up = reader.flag(from, "up");
  if (reader.has(from, "carrier")) carrier = reader.flag(from, "carrier");
  if (reader.has(from, "persistent")) persistent = reader.flag(from, "persistent");
  // nothing is changed unless everything could be read
  if (!reader.ok()) {
    reader.throwProblem();
    return env.Undefined();
  }
  int result = 0;
  const auto keep = [&result](int error) {
    if (result == 0) result = error;
  };
  if (mtu) keep(tap_.setMtu(*mtu));
  if (mac) keep(tap_.setMac(*mac));
  if (up) keep(tap_.setUp(*up));
  if (carrier) keep(tap_.setCarrier(*carrier));
  if (persistent) keep(tap_.setPersistent(*persistent));
  return Number::New(env, result);
}

Napi::Value TapObject::close(const CallbackInfo& info) {
  watch_.stop();
  tap_.close();
  watch_.wake();
  return info.Env().Undefined();
}

}  // namespace weft
