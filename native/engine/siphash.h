// SipHash-2-4 (Aumasson and Bernstein, 2012) over whole 64-bit words: names that nobody who does
// not know the key can make collide, so a table may keep the name alone.
#pragma once

#include <sys/random.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

namespace weft {

using SipKey = std::array<uint64_t, 2>;

/// The words count as little-endian bytes, as in the paper.
inline uint64_t siphash(const SipKey& key, std::span<const uint64_t> words) {
  uint64_t a = key[0] ^ 0x736f6d6570736575;
  uint64_t b = key[1] ^ 0x646f72616e646f6d;
  uint64_t c = key[0] ^ 0x6c7967656e657261;
  uint64_t d = key[1] ^ 0x7465646279746573;
  const auto rounds = [&](int count) {
    for (int i = 0; i < count; i++) {
      a += b;
      b = std::rotl(b, 13) ^ a;
      a = std::rotl(a, 32);
      c += d;
      d = std::rotl(d, 16) ^ c;
      a += d;
      d = std::rotl(d, 21) ^ a;
      c += b;
      b = std::rotl(b, 17) ^ c;
      c = std::rotl(c, 32);
    }
  };
  const auto take = [&](uint64_t word) {
    d ^= word;
    rounds(2);
    a ^= word;
  };
  for (const uint64_t word : words) take(word);
  take(static_cast<uint64_t>(words.size() * sizeof(uint64_t)) << 56);
  c ^= 0xff;
  rounds(4);
  return a ^ b ^ c ^ d;
}

/// A key of this process: waits for the entropy of a machine that has just booted. So few bytes
/// come whole or, where a signal ends the wait, not at all. A kernel without the call ends the
/// process: names that others can foretell keep nobody out.
inline SipKey drawSipKey() {
  SipKey key{};
  while (getrandom(key.data(), sizeof key, 0) != static_cast<ssize_t>(sizeof key)) {
    if (errno != EINTR) std::abort();
  }
  return key;
}

}  // namespace weft
