// The JavaScript class around weft::Tap: frames one by one, for users of weft/tap and for tests.
#pragma once

#include <napi.h>
#include <uv.h>

#include "tap.h"

namespace weft {

class TapObject : public Napi::ObjectWrap<TapObject> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit TapObject(const Napi::CallbackInfo& info);
  ~TapObject() override;

 private:
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value write(const Napi::CallbackInfo& info);
  Napi::Value whenReadable(const Napi::CallbackInfo& info);
  Napi::Value facts(const Napi::CallbackInfo& info);
  Napi::Value set(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  /// What libuv needs until its close callback ran; it outlives the object.
  struct Watch {
    uv_poll_t handle{};
    napi_async_cleanup_hook_handle hook = nullptr;
    TapObject* owner = nullptr;
  };
  bool startWatch(Napi::Env env);
  void stopWatch();
  void wake();
  static void onReadable(uv_poll_t* handle, int status, int events);
  static void onEnvironmentEnd(napi_async_cleanup_hook_handle hook, void* watch);

  Tap tap_;
  Watch* watch_ = nullptr;
  Napi::FunctionReference waiting_;
};

}  // namespace weft
