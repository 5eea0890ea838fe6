// The JavaScript class around weft::Tap: frames one by one, for users of weft/tap and for tests.
#pragma once

#include <napi.h>

#include "descriptor-watch.h"
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

  Tap tap_;
  DescriptorWatch watch_{DescriptorWatch::Keeps::alive};
};

}  // namespace weft
