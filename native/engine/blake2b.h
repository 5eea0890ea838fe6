// Keyed BLAKE2b with a digest of 16 bytes (RFC 7693): mac1 of handshake datagrams.
#pragma once

#include <array>
#include <cstdint>

#include "commands.h"

namespace weft {

using Mac1Key = std::array<uint8_t, 32>;
using Mac1 = std::array<uint8_t, 16>;

/// BLAKE2b-128 of `message` under `key`.
Mac1 blake2bMac(const Mac1Key& key, Bytes message);

/// Compares in constant time; `expected` points to 16 bytes.
bool sameMac(const Mac1& actual, const uint8_t* expected);

}  // namespace weft
