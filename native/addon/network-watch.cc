#include "network-watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace weft {
namespace {

/// Bounds one drain: a router that rewrites its table must not hold the loop.
constexpr int drainedMessages = 256;

int openSocket() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return -1;
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                    RTMGRP_IPV6_ROUTE;
  if (bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof local) == 0) return fd;
  const int error = errno;
  ::close(fd);
  errno = error;
  return -1;
}

}  // namespace

Napi::Function NetworkWatch::define(Napi::Env env) {
  return DefineClass(env, "NetworkWatch",
                     {
                         InstanceMethod("whenChanged", &NetworkWatch::whenChanged),
                         InstanceMethod("close", &NetworkWatch::close),
                     });
}

/// Throws where the kernel has no rtnetlink for us.
NetworkWatch::NetworkWatch(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NetworkWatch>(info) {
  socket_ = openSocket();
  if (socket_ >= 0) return;
  const std::string cause = std::string("rtnetlink: ") + strerror(errno);
  Napi::Error::New(info.Env(), cause).ThrowAsJavaScriptException();
}

NetworkWatch::~NetworkWatch() {
  watch_.stop();
  if (socket_ >= 0) ::close(socket_);
}

/// whenChanged(callback): once, at the next change since the last call. Does not keep the event
/// loop alive; never calls back after `close`.
Napi::Value NetworkWatch::whenChanged(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsFunction()) {
    Napi::TypeError::New(env, "callback must be a function").ThrowAsJavaScriptException();
    return env.Undefined();
  }
  if (socket_ < 0) return env.Undefined();
  drain();
  if (!watch_.callOnce(socket_, info[0].As<Napi::Function>())) {
    Napi::Error::New(env, "rtnetlink cannot be watched").ThrowAsJavaScriptException();
  }
  return env.Undefined();
}

/// What arrived until now is old news: the caller reads everything anew after this.
void NetworkWatch::drain() {
  char buffer[64];
  for (int i = 0; i < drainedMessages; i++) {
    // MSG_TRUNC: nobody looks at the rest. ENOBUFS says that some were lost, and clears that.
    const ssize_t bytes = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT | MSG_TRUNC);
    if (bytes < 0 && errno != ENOBUFS && errno != EINTR) return;
  }
}

Napi::Value NetworkWatch::close(const Napi::CallbackInfo& info) {
  watch_.stop();
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  return info.Env().Undefined();
}

}  // namespace weft
