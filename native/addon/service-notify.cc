#include "service-notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

#include "values.h"

namespace weft {
namespace {

/// @param path a path, or `@` and a name of the abstract namespace
int sendTo(const std::string& path, const std::string& text) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() < 2 || path.size() >= sizeof address.sun_path) return -EINVAL;
  if (path[0] != '/' && path[0] != '@') return -EINVAL;
  memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  const socklen_t length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (path[0] == '/'));
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  const ssize_t sent = sendto(fd, text.data(), text.size(), MSG_NOSIGNAL, to, length);
  const int result = sent < 0 ? -errno : 0;
  close(fd);
  return result;
}

}  // namespace

Napi::Value notifyService(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  FieldReader reader(env);
  const Napi::Object from =
      info[0].IsObject() ? info[0].As<Napi::Object>() : Napi::Object::New(env);
  const std::string socket = reader.text(from, "socket");
  const std::string text = reader.text(from, "text");
  if (!reader.ok()) {
    reader.throwProblem();
    return env.Undefined();
  }
  return Napi::Number::New(env, sendTo(socket, text));
}

}  // namespace weft
