// errno as a reason that the core knows.
#pragma once

#include <errno.h>

#include "upcalls.h"

namespace weft {

inline SocketFailure socketFailureOf(int error) {
  switch (error) {
    case EADDRINUSE: return SocketFailure::inUse;
    case EACCES:
    case EPERM: return SocketFailure::notPermitted;
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case EADDRNOTAVAIL: return SocketFailure::unsupported;
    case ECONNREFUSED:
    case ECONNRESET: return SocketFailure::refused;
    case EHOSTUNREACH:
    case ENETUNREACH: return SocketFailure::unreachable;
    case ETIMEDOUT: return SocketFailure::timedOut;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return SocketFailure::limit;
    default: return SocketFailure::system;
  }
}

}  // namespace weft
