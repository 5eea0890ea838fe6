// The answer of a proxy, as it comes in over time: more bytes never change a verdict that stands.
//
//      input = | step u8 | answer |
#include "http-connect.h"

#include <string_view>

#include "engine-limits.h"
#include "input.h"

using namespace weft;
using fuzz::require;

FUZZ_TARGET(input) {
  const size_t step = input.byte() + 1U;
  const auto bytes = fuzz::copyOf(input.rest());
  const std::string_view whole(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ConnectAnswer before = ConnectAnswer::incomplete;
  size_t heard = 0;
  for (size_t length = 0; length < whole.size() + step; length += step) {
    const std::string_view answer = whole.substr(0, length);
    const ConnectAnswer now = judgeConnectAnswer(answer);
    require(now != ConnectAnswer::incomplete || answer.size() < limits::proxyAnswerBytes);
    if (before == ConnectAnswer::refused || before == ConnectAnswer::wantsAuthorization) {
      require(now == before);
    }
    // Bytes behind the headers of an open tunnel are no tunnel of ours.
    if (before == ConnectAnswer::open && answer.size() > heard) {
      require(now == ConnectAnswer::malformed);
    }
    before = now;
    heard = answer.size();
  }
}
