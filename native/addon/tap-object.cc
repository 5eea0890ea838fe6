#include "tap-object.h"

#include <string>

#include "engine-object.h"
#include "engine-options.h"
#include "limits.h"
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
  int result = 0;
  const auto keep = [&result](int error) {
    if (result == 0) result = error;
  };
  if (reader.has(from, "mtu")) keep(tap_.setMtu(reader.u32(from, "mtu")));
  if (reader.has(from, "mac")) keep(tap_.setMac(reader.mac(from, "mac")));
  if (reader.has(from, "up")) keep(tap_.setUp(reader.flag(from, "up")));
  if (reader.has(from, "carrier")) keep(tap_.setCarrier(reader.flag(from, "carrier")));
  if (reader.has(from, "persistent")) keep(tap_.setPersistent(reader.flag(from, "persistent")));
  if (!reader.ok()) reader.throwProblem();
  return Number::New(env, result);
}

Napi::Value TapObject::close(const CallbackInfo& info) {
  tap_.close();
  return info.Env().Undefined();
}

}  // namespace weft
