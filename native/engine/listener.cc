#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine-limits.h"
#include "udp-socket.h"

namespace weft {

std::shared_ptr<Listener> Listener::open(Family family, uint16_t port) {
  const bool v6 = family == Family::v6;
  const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return nullptr;
  std::shared_ptr<Listener> listener(new Listener(fd));
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // a restart finds its old port
  if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  Endpoint any;
  any.family = family;
  any.port = port;
  const SocketAddress address = toSocketAddress(any);
  if (bind(fd, &address.any, address.bytes) != 0) return nullptr;
  return ::listen(fd, limits::streamBacklog) == 0 ? listener : nullptr;
}

Listener::~Listener() {
  const int error = errno;  // of the failure that led here
  ::close(fd_);
  errno = error;
}

}  // namespace weft
