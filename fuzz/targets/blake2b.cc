// mac1: any length, and what a bit changes.
#include "blake2b.h"

#include "input.h"

using namespace weft;
using fuzz::require;

FUZZ_TARGET(input) {
  Mac1Key key{};
  const Bytes given = input.take(key.size());
  std::copy(given.begin(), given.end(), key.begin());
  auto message = fuzz::copyOf(input.rest());
  const Mac1 mac = blake2bMac(key, message);
  require(sameMac(mac, mac.data()));
  if (message.empty()) return;
  if ((message.back() & 1) != 0) {
    message.back() ^= 2;
  } else {
    message.pop_back();
  }
  require(!sameMac(blake2bMac(key, message), mac.data()));
}
