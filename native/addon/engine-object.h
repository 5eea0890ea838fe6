// The JavaScript class around weft::Engine. One environment (main thread or Worker) owns each
// object; its data threads reach JavaScript only through the doorbell.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "engine.h"

namespace weft {

class EngineObject : public Napi::ObjectWrap<EngineObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit EngineObject(const Napi::CallbackInfo& info);
  ~EngineObject() override;

 private:
  Napi::Value apply(const Napi::CallbackInfo& info);
  Napi::Value drain(const Napi::CallbackInfo& info);
  Napi::Value counters(const Napi::CallbackInfo& info);
  Napi::Value facts(const Napi::CallbackInfo& info);
  Napi::Value setTapMtu(const Napi::CallbackInfo& info);
  Napi::Value setKeepsAlive(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  bool listen(Napi::Env env, Napi::Value callback);
  /// Joins the data threads, then lets the doorbell go. Twice is fine.
  void shutDown();
  static void ring(void* self);
  static void onEnvironmentEnd(void* self);

  std::unique_ptr<Engine> engine_;
  Counters lastCounters_;
  Napi::ThreadSafeFunction doorbell_;
  bool hasDoorbell_ = false;
  std::vector<Command> commands_;
  std::vector<Upcall> upcalls_;
};

/// Throws an Error with `code` and `errno` out of an OpenError.
void throwOpenError(Napi::Env env, const OpenError& error);

}  // namespace weft
