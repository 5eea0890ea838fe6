#include "http-connect.h"

#include <arpa/inet.h>

#include "engine-limits.h"

namespace weft {
namespace {

constexpr std::string_view headerEnd = "\r\n\r\n";
/// `HTTP/1.x NNN`
constexpr size_t statusAt = 9;
constexpr size_t statusEnd = 12;

bool isDigit(char c) { return c >= '0' && c <= '9'; }

/// The status code of the first line, or 0.
int statusOf(std::string_view answer) {
  if (answer.size() < statusEnd || !answer.starts_with("HTTP/1.") || answer[8] != ' ') return 0;
  int status = 0;
  for (const char c : answer.substr(statusAt, statusEnd - statusAt)) {
    if (!isDigit(c)) return 0;
    status = status * 10 + (c - '0');
  }
  return status;
}

}  // namespace

std::string connectRequest(const Endpoint& to, const std::string& authorization) {
  const std::string target = endpointText(to);
  std::string request = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
  if (!authorization.empty()) request += "Proxy-Authorization: " + authorization + "\r\n";
  return request + "\r\n";
}

ConnectAnswer judgeConnectAnswer(std::string_view answer) {
  const size_t end = answer.find(headerEnd);
  if (end == std::string_view::npos) {
    return answer.size() < limits::proxyAnswerBytes ? ConnectAnswer::incomplete
                                                    : ConnectAnswer::malformed;
  }
  const int status = statusOf(answer);
  if (status == 0) return ConnectAnswer::malformed;
  if (status == 407) return ConnectAnswer::wantsAuthorization;
  if (status < 200 || status > 299) return ConnectAnswer::refused;
  return end + headerEnd.size() == answer.size() ? ConnectAnswer::open : ConnectAnswer::malformed;
}

std::string endpointText(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = "";
  const bool v6 = endpoint.family == Family::v6;
  inet_ntop(v6 ? AF_INET6 : AF_INET, endpoint.ip.data(), text, sizeof text);
  return (v6 ? "[" + std::string(text) + "]" : std::string(text)) + ":" +
         std::to_string(endpoint.port);
}

}  // namespace weft
