// HTTP CONNECT (RFC 9110 section 9.3.6): what a proxy is asked and how its answer is read.
#pragma once

#include <string>
#include <string_view>

#include "commands.h"

namespace weft {

/// `CONNECT host:port HTTP/1.1` with Host and, when given, Proxy-Authorization.
std::string connectRequest(const Endpoint& to, const std::string& authorization);

enum class ConnectAnswer : uint8_t { incomplete, open, refused, wantsAuthorization, malformed };

/// Judges what a proxy has sent so far; bytes behind the headers are malformed, for TLS servers
/// never speak first.
ConnectAnswer judgeConnectAnswer(std::string_view answer);

/// `192.0.2.1:443` or `[2001:db8::1]:443`
std::string endpointText(const Endpoint& endpoint);

}  // namespace weft
