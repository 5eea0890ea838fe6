#include "engine-object.h"

#include <cerrno>
#include <string>

#include "command-reader.h"
#include "engine-options.h"
#include "upcall-writer.h"
#include "values.h"

namespace weft {

using Napi::CallbackInfo;
using Napi::Number;
using Napi::Object;

void throwOpenError(Napi::Env env, const OpenError& error) {
  Napi::Error thrown = Napi::Error::New(env, error.message);
  thrown.Set("code", Napi::String::New(env, std::string(openErrorName(error.code))));
  thrown.Set("errno", Number::New(env, error.systemError));
  thrown.ThrowAsJavaScriptException();
}

Napi::Function EngineObject::define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {
                         InstanceMethod("apply", &EngineObject::apply),
                         InstanceMethod("drain", &EngineObject::drain),
                         InstanceMethod("counters", &EngineObject::counters),
                         InstanceMethod("facts", &EngineObject::facts),
                         InstanceMethod("setTapMtu", &EngineObject::setTapMtu),
                         InstanceMethod("setKeepsAlive", &EngineObject::setKeepsAlive),
                         InstanceMethod("close", &EngineObject::close),
                     });
}

/// new Engine(options, onReady): onReady is called on the JavaScript thread when there is something
/// to drain, at most once until the next drain.
EngineObject::EngineObject(const CallbackInfo& info) : Napi::ObjectWrap<EngineObject>(info) {
  const Napi::Env env = info.Env();
  FieldReader reader(env);
  reader.enter("options");
  if (!info[0].IsObject()) {
    Napi::TypeError::New(env, "options must be an object").ThrowAsJavaScriptException();
    return;
  }
  Options options = readEngineOptions(reader, info[0].As<Object>());
  if (!reader.ok()) {
    reader.throwProblem();
    return;
  }
  if (!listen(env, info[1])) return;
  options.doorbell = &EngineObject::ring;
  options.doorbellContext = this;
  auto opened = Engine::open(options);
  if (const auto* error = std::get_if<OpenError>(&opened)) {
    shutDown();
    throwOpenError(env, *error);
    return;
  }
  engine_ = std::move(std::get<std::unique_ptr<Engine>>(opened));
}

EngineObject::~EngineObject() { shutDown(); }

bool EngineObject::listen(Napi::Env env, Napi::Value callback) {
  if (!callback.IsFunction()) {
    Napi::TypeError::New(env, "onReady must be a function").ThrowAsJavaScriptException();
    return false;
  }
  // one waiting call is enough: the engine rings once until the next drain
  const auto function = callback.As<Napi::Function>();
  doorbell_ = Napi::ThreadSafeFunction::New(env, function, "weft doorbell", 2, 1);
  doorbell_.Unref(env);
  hasDoorbell_ = true;
  // runs before the doorbell's own hook (last in, first out): the data threads are gone by then
  napi_add_env_cleanup_hook(env, &EngineObject::onEnvironmentEnd, this);
  return true;
}

void EngineObject::ring(void* self) {
  static_cast<EngineObject*>(self)->doorbell_.NonBlockingCall();
}

void EngineObject::onEnvironmentEnd(void* self) {
  static_cast<EngineObject*>(self)->shutDown();
}

void EngineObject::shutDown() {
  if (engine_ != nullptr) {
    engine_->close();
    lastCounters_ = engine_->counters();
    engine_.reset();
  }
  if (!hasDoorbell_) return;
  hasDoorbell_ = false;
  napi_remove_env_cleanup_hook(Env(), &EngineObject::onEnvironmentEnd, this);
  doorbell_.Abort();
}

Napi::Value EngineObject::apply(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsArray()) {
    Napi::TypeError::New(env, "commands must be an array").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  FieldReader reader(env);
  commands_.clear();
  readCommands(reader, info[0].As<Napi::Array>(), commands_);
  if (!reader.ok()) {
    reader.throwProblem();
  } else if (engine_ != nullptr) {
    engine_->apply(commands_);
  }
  commands_.clear();
  return env.Undefined();
}

Napi::Value EngineObject::drain(const CallbackInfo& info) {
  upcalls_.clear();
  if (engine_ != nullptr) engine_->drain(upcalls_);
  const Napi::Array array = writeUpcalls(info.Env(), upcalls_);
  upcalls_.clear();
  return array;
}

Napi::Value EngineObject::counters(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Counters counters = engine_ != nullptr ? engine_->counters() : lastCounters_;
  const auto number = [env](uint64_t value) {
    return Number::New(env, static_cast<double>(value));
  };
  Object dropped = Object::New(env);
  for (size_t i = 0; i < dropReasons; i++) {
    if (counters.dropped[i] == 0) continue;
    dropped.Set(std::string(dropReasonNames[i]), number(counters.dropped[i]));
  }
  Object object = Object::New(env);
  object.Set("dropped", dropped);
  object.Set("datagramsIn", number(counters.datagramsIn));
  object.Set("datagramsOut", number(counters.datagramsOut));
  object.Set("bytesIn", number(counters.bytesIn));
  object.Set("bytesOut", number(counters.bytesOut));
  object.Set("tapFramesIn", number(counters.tapFramesIn));
  object.Set("tapFramesOut", number(counters.tapFramesOut));
  object.Set("relayedDatagrams", number(counters.relayedDatagrams));
  return object;
}

/// What was found at opening: {endpoints, tapName, tapMtu, tapMac, offloads}; undefined when
/// closed.
Napi::Value EngineObject::facts(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (engine_ == nullptr) return env.Undefined();
  Napi::Array endpoints = Napi::Array::New(env);
  for (const Endpoint& endpoint : engine_->endpoints()) {
    endpoints.Set(endpoints.Length(), endpointValue(env, endpoint));
  }
  const auto mtu = engine_->tapMtu();
  const auto mac = engine_->tapMac();
  const OffloadOptions offloads = engine_->offloads();
  Object switches = Object::New(env);
  switches.Set("tapSuperframes", offloads.tapSuperframes);
  switches.Set("udpSegment", offloads.udpSegment);
  switches.Set("udpGro", offloads.udpGro);
  Object object = Object::New(env);
  object.Set("endpoints", endpoints);
  object.Set("tapName", engine_->tapName());
  object.Set("tapMtu", mtu ? Number::New(env, *mtu) : env.Undefined());
  object.Set("tapMac", mac ? Napi::String::New(env, macText(*mac)) : env.Undefined());
  object.Set("offloads", switches);
  return object;
}

/// 0 or -errno.
Napi::Value EngineObject::setTapMtu(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsNumber()) {
    Napi::TypeError::New(env, "mtu must be a number").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const uint32_t mtu = info[0].As<Number>().Uint32Value();
  return Number::New(env, engine_ != nullptr ? engine_->setTapMtu(mtu) : -ENODEV);
}

/// Whether this engine keeps the event loop alive; not until asked.
Napi::Value EngineObject::setKeepsAlive(const CallbackInfo& info) {
  if (hasDoorbell_ && info[0].ToBoolean().Value()) {
    doorbell_.Ref(info.Env());
  } else if (hasDoorbell_) {
    doorbell_.Unref(info.Env());
  }
  return info.Env().Undefined();
}

Napi::Value EngineObject::close(const CallbackInfo& info) {
  shutDown();
  return info.Env().Undefined();
}

}  // namespace weft
