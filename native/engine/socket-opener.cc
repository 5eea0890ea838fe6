#include "socket-opener.h"

#include <errno.h>

#include <algorithm>

#include "overloaded.h"
#include "socket-failure.h"

namespace weft {
namespace {

/// It becomes a line of a request: nothing in it may end that line.
bool isUsable(const StreamProxy& proxy) {
  return proxy.authorization.size() <= limits::proxyAuthorizationChars &&
         std::all_of(proxy.authorization.begin(), proxy.authorization.end(),
                     [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

bool SocketOpener::handles(const Command& command) {
  return std::holds_alternative<SocketOpen>(command) ||
         std::holds_alternative<StreamOpen>(command) ||
         std::holds_alternative<StreamListen>(command) ||
         std::holds_alternative<SocketClose>(command);
}

bool SocketOpener::open(const Command& command, Opened& into) {
  return std::visit(Overloaded{
                        [&](const SocketOpen& open) { return openUdp(open, into.socket); },
                        [&](const StreamOpen& open) { return openStream(open, into.socket); },
                        [&](const StreamListen& each) { return listen(each, into.listeners); },
                        [&](const SocketClose& close) {
                          table_.take(close.socket);
                          return true;
                        },
                        [](const auto&) { return true; },
                    },
                    command);
}

void SocketOpener::announce(const Command& command, const Opened& opened) {
  const auto* open = std::get_if<SocketOpen>(&command);
  if (open == nullptr) return;
  push(SocketOpenedUpcall{open->socket, open->family, opened.socket.udp->bound().port, {}});
}

bool SocketOpener::openUdp(const SocketOpen& open, ExtraSocket& into) {
  if (!isFree(open.socket)) return false;
  Ip any;
  any.family = open.family;
  auto opened = UdpSocket::open(any, open.port, wantGro_);
  if (auto* error = std::get_if<OpenError>(&opened)) {
    return refuse(open.socket, socketFailureOf(error->systemError));
  }
  into.udp = std::make_shared<const UdpSocket>(std::move(*std::get_if<UdpSocket>(&opened)));
  table_.set(open.socket, into);
  return true;
}

bool SocketOpener::openStream(const StreamOpen& open, ExtraSocket& into) {
  if (open.proxy && !isUsable(*open.proxy)) {
    counters_.drop(DropReason::badField);
    return false;
  }
  if (!isFree(open.socket)) return false;
  if (!tlsAvailable()) return refuse(open.socket, SocketFailure::unsupported);
  auto stream = Stream::connect(open);
  if (auto* reason = std::get_if<SocketFailure>(&stream)) return refuse(open.socket, *reason);
  into.stream = *std::get_if<std::shared_ptr<Stream>>(&stream);
  table_.set(open.socket, into);
  return true;
}

/// One family is enough: a machine may lack either.
bool SocketOpener::listen(const StreamListen& listen, Listeners& into) {
  if (listen.port == 0) return true;
  if (!tlsAvailable()) {
    push(ListenFailedUpcall{listen.port, SocketFailure::unsupported});
    return false;
  }
  into[1] = Listener::open(Family::v6, listen.port);
  into[0] = Listener::open(Family::v4, listen.port);
  if (into[0] != nullptr || into[1] != nullptr) return true;
  push(ListenFailedUpcall{listen.port, socketFailureOf(errno)});
  return false;
}

/// Whether the core may open that index now; tells why not.
bool SocketOpener::isFree(SocketIndex index) {
  if (index < table_.fixed().size() || index >= limits::acceptedStreams) {
    counters_.drop(DropReason::badField);
    return false;
  }
  const ExtraSocket socket = table_.extra(index);
  if (!socket || (socket.stream != nullptr && socket.stream->closed())) return true;
  return refuse(index, SocketFailure::inUse);
}

bool SocketOpener::refuse(SocketIndex index, SocketFailure reason) {
  push(SocketFailedUpcall{index, reason});
  return false;
}

void SocketOpener::push(Upcall&& upcall) {
  if (!upcalls_.push(std::move(upcall))) counters_.drop(DropReason::upcallFull);
}

}  // namespace weft
