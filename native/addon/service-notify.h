// notifyService({socket, text}): one datagram to the service manager (sd_notify(3), without
// libsystemd). Node has no Unix datagram sockets of its own.
#pragma once

#include <napi.h>

namespace weft {

/// 0, or -errno. Never blocks: a service manager that does not read loses words, not packets.
Napi::Value notifyService(const Napi::CallbackInfo& info);

}  // namespace weft
