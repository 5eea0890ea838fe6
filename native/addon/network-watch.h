// The JavaScript class NetworkWatch: the kernel's word that this host's addresses, interfaces or
// routes changed (rtnetlink). It says that, not what: whoever wants to know reads them anew, so a
// message that was lost or came twice does no harm.
#pragma once

#include <napi.h>

#include "descriptor-watch.h"

namespace weft {

class NetworkWatch : public Napi::ObjectWrap<NetworkWatch> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit NetworkWatch(const Napi::CallbackInfo& info);
  ~NetworkWatch() override;

 private:
  Napi::Value whenChanged(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  void drain();

  int socket_ = -1;
  DescriptorWatch watch_{DescriptorWatch::Keeps::nothing};
};

}  // namespace weft
