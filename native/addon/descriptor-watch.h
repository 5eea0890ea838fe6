// Tells JavaScript once that a descriptor can be read: libuv polls it on the environment's loop.
#pragma once

#include <napi.h>
#include <uv.h>

namespace weft {

class DescriptorWatch {
 public:
  /// Whether a waiting callback keeps the event loop alive.
  enum class Keeps { alive, nothing };

  explicit DescriptorWatch(Keeps keeps) : keeps_(keeps) {}
  ~DescriptorWatch() { stop(); }
  DescriptorWatch(const DescriptorWatch&) = delete;
  DescriptorWatch& operator=(const DescriptorWatch&) = delete;

  /// Calls back once when `fd` can be read; a callback that waits already is replaced. It must be
  /// the same descriptor each time, open until `stop`. False when it cannot be polled.
  bool callOnce(int fd, Napi::Function callback);

  /// The descriptor is let go of at once; a callback that waits stays until `wake`.
  void stop();

  /// Calls the waiting callback, if any.
  void wake();

 private:
  /// What libuv needs until its close callback ran; it outlives the object.
  struct Handle {
    uv_poll_t poll{};
    napi_async_cleanup_hook_handle hook = nullptr;
    DescriptorWatch* owner = nullptr;
  };
  bool start(Napi::Env env, int fd);
  static void onReadable(uv_poll_t* poll, int status, int events);
  static void onEnvironmentEnd(napi_async_cleanup_hook_handle hook, void* handle);

  const Keeps keeps_;
  Handle* handle_ = nullptr;
  Napi::FunctionReference waiting_;
};

}  // namespace weft
