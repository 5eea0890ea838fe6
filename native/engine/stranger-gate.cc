#include "stranger-gate.h"

#include <algorithm>

#include "wire.h"

namespace weft {
namespace {

bool isStun(Bytes datagram) {
  return datagram.size() >= wire::stunHeaderBytes &&
         loadBe16(&datagram[2]) + wire::stunHeaderBytes == datagram.size() &&
         loadBe32(&datagram[4]) == wire::stunCookie;
}

bool isHandshake(uint8_t type) {
  return type >= wire::handshakeFirst && type <= wire::handshakeLast;
}

/// mac2 is zeros where the sender has no cookie.
bool lacksCookie(Bytes datagram) {
  const Bytes mac2 = datagram.last(wire::macBytes);
  return std::all_of(mac2.begin(), mac2.end(), [](uint8_t byte) { return byte == 0; });
}

}  // namespace

StrangerGate::Verdict StrangerGate::judge(uint64_t nowMs, Bytes datagram) {
  const DropReason reason = check(datagram);
  if (reason != DropReason::none) return {reason, false};
  const bool first = datagram[0] == wire::handshakeFirst;
  const bool unproven = first && lacksCookie(datagram);
  // only the core can tell a cookie from a mac2 that was made up
  if (first && !(unproven ? unproven_ : claimed_).take(nowMs)) {
    return {DropReason::rateLimited, unproven};
  }
  return {DropReason::none, unproven};
}

DropReason StrangerGate::check(Bytes datagram) const {
  const uint8_t type = datagram[0];
  if (type <= wire::stunLast) return isStun(datagram) ? DropReason::none : DropReason::badField;
  if (!isHandshake(type)) {
    const bool known = type == wire::bencodeFirst && admission_.bencode;
    return known ? DropReason::none : DropReason::unknownType;
  }
  if (datagram.size() <= 2 * wire::macBytes) return DropReason::truncated;
  const size_t mac1At = datagram.size() - 2 * wire::macBytes;
  const Mac1 mac1 = blake2bMac(admission_.mac1Key, datagram.first(mac1At));
  return sameMac(mac1, &datagram[mac1At]) ? DropReason::none : DropReason::badMac1;
}

}  // namespace weft
