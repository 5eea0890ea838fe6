#include "blake2b.h"

#include <bit>
#include <cstring>

#include "bytes.h"

namespace weft {
namespace {

constexpr size_t blockBytes = 128;
constexpr int rounds = 12;

constexpr std::array<uint64_t, 8> initial = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

// Message schedule (RFC 7693 section 2.7); rounds 10 and 11 repeat the first two.
constexpr uint8_t schedule[10][16] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
                                      {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
                                      {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
                                      {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
                                      {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
                                      {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
                                      {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
                                      {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
                                      {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
                                      {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};

using State = std::array<uint64_t, 8>;
using Work = std::array<uint64_t, 16>;

struct Lane {
  int a, b, c, d;
};

void mix(Work& v, Lane lane, uint64_t x, uint64_t y) {
  const auto [a, b, c, d] = lane;
  v[a] += v[b] + x;
  v[d] = std::rotr(v[d] ^ v[a], 32);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 24);
  v[a] += v[b] + y;
  v[d] = std::rotr(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = std::rotr(v[b] ^ v[c], 63);
}

/// @param counted bytes hashed up to and with this block
void compress(State& state, const uint8_t* block, uint64_t counted, bool last) {
  static constexpr Lane lanes[8] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14}, {3, 7, 11, 15},
                                    {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13},  {3, 4, 9, 14}};
  Work m;
  std::memcpy(m.data(), block, blockBytes);
  Work v;
  for (int i = 0; i < 8; i++) {
    v[i] = state[i];
    v[i + 8] = initial[i];
  }
  v[12] ^= counted;
  if (last) v[14] = ~v[14];
  for (int round = 0; round < rounds; round++) {
    const uint8_t* order = schedule[round % 10];
    for (int i = 0; i < 8; i++) mix(v, lanes[i], m[order[2 * i]], m[order[2 * i + 1]]);
  }
  for (int i = 0; i < 8; i++) state[i] ^= v[i] ^ v[i + 8];
}

}  // namespace

Mac1 blake2bMac(const Mac1Key& key, Bytes message) {
  State state = initial;
  state[0] ^= 0x01010000 ^ (key.size() << 8) ^ sizeof(Mac1);
  std::array<uint8_t, blockBytes> block{};
  std::memcpy(block.data(), key.data(), key.size());
  compress(state, block.data(), blockBytes, message.empty());

  size_t done = 0;
  while (done < message.size()) {
    const size_t bytes = std::min(blockBytes, message.size() - done);
    block.fill(0);
    std::memcpy(block.data(), message.data() + done, bytes);
    done += bytes;
    compress(state, block.data(), blockBytes + done, done == message.size());
  }
  Mac1 digest;
  std::memcpy(digest.data(), state.data(), digest.size());
  return digest;
}

bool sameMac(const Mac1& actual, const uint8_t* expected) {
  uint8_t difference = 0;
  for (size_t i = 0; i < actual.size(); i++) difference |= actual[i] ^ expected[i];
  return difference == 0;
}

}  // namespace weft
