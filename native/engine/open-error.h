// Why something of the machine (socket, TAP, crypto library, thread) could not be had.
#pragma once

#include <string>
#include <string_view>
#include <variant>

namespace weft {

enum class OpenErrorCode {
  badOption,    // an option makes no sense (name too long, no sockets, ...)
  noCrypto,     // neither the process nor libcrypto.so.3 has the EVP functions
  socket,       // a UDP socket could not be made or bound
  tap,          // the TAP could not be made or set up
  notPermitted, // EPERM or EACCES on any of them
  thread,       // a data thread or its eventfd could not be made
};

inline constexpr std::string_view openErrorName(OpenErrorCode code) {
  switch (code) {
    case OpenErrorCode::badOption: return "bad-option";
    case OpenErrorCode::noCrypto: return "no-crypto";
    case OpenErrorCode::socket: return "socket";
    case OpenErrorCode::tap: return "tap";
    case OpenErrorCode::notPermitted: return "not-permitted";
    case OpenErrorCode::thread: return "thread";
  }
  return "unknown";
}

struct OpenError {
  OpenErrorCode code = OpenErrorCode::badOption;
  std::string message;  // one sentence, names the object
  int systemError = 0;  // errno, or 0
};

/// A value or the reason why there is none.
template <typename T>
using Opened = std::variant<T, OpenError>;

}  // namespace weft
