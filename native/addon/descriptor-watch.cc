#include "descriptor-watch.h"

#include <utility>

namespace weft {

bool DescriptorWatch::callOnce(int fd, Napi::Function callback) {
  if (handle_ == nullptr && !start(callback.Env(), fd)) return false;
  waiting_ = Napi::Persistent(callback);
  return uv_poll_start(&handle_->poll, UV_READABLE, &DescriptorWatch::onReadable) == 0;
}

bool DescriptorWatch::start(Napi::Env env, int fd) {
  uv_loop_t* loop = nullptr;
  if (fd < 0 || napi_get_uv_event_loop(env, &loop) != napi_ok) return false;
  auto* handle = new Handle;
  handle->owner = this;
  handle->poll.data = handle;
  if (uv_poll_init(loop, &handle->poll, fd) != 0) {
    delete handle;
    return false;
  }
  if (keeps_ == Keeps::nothing) uv_unref(reinterpret_cast<uv_handle_t*>(&handle->poll));
  napi_add_async_cleanup_hook(env, &DescriptorWatch::onEnvironmentEnd, handle, &handle->hook);
  handle_ = handle;
  return true;
}

void DescriptorWatch::onReadable(uv_poll_t* poll, int, int) {
  uv_poll_stop(poll);
  static_cast<Handle*>(poll->data)->owner->wake();
}

void DescriptorWatch::wake() {
  if (waiting_.IsEmpty()) return;
  const Napi::Env env = waiting_.Env();
  Napi::HandleScope scope(env);
  const Napi::Function callback = waiting_.Value();
  waiting_.Reset();
  callback.MakeCallback(env.Global(), {});
}

/// libuv lets go of the descriptor at once and of the handle later.
void DescriptorWatch::stop() {
  if (handle_ == nullptr) return;
  Handle* handle = std::exchange(handle_, nullptr);
  handle->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->poll), [](uv_handle_t* poll) {
    auto* handle = static_cast<Handle*>(poll->data);
    napi_remove_async_cleanup_hook(handle->hook);
    delete handle;
  });
}

void DescriptorWatch::onEnvironmentEnd(napi_async_cleanup_hook_handle, void* data) {
  auto* handle = static_cast<Handle*>(data);
  if (handle->owner != nullptr) handle->owner->stop();
}

}  // namespace weft
