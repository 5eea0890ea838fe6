#include "vaes-gcm.h"

#include <string.h>

#if defined(__x86_64__)

// GCC 12 warns about its own intrinsics, which start from a register of no value on purpose.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>

// Only functions with this attribute may use the instructions, so the file needs no compiler flags
// and the library runs on every x86-64.
#define WEFT_VAES \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq,aes,pclmul,ssse3")))
// Arrays of vectors are registers only if the loops over them are gone; -O2 leaves them.
#if defined(__clang__)
#define WEFT_UNROLL _Pragma("unroll")
#else
#define WEFT_UNROLL _Pragma("GCC unroll 16")
#endif
#define WEFT_VAES_INLINE static inline __attribute__((always_inline)) WEFT_VAES

namespace weft {
namespace {

constexpr size_t blockBytes = 16;
constexpr size_t vectorBytes = 64;
constexpr size_t chunkBytes = 256;  // sixteen blocks in four vectors
constexpr int vectors = 4;
constexpr size_t powerCount = 16;
constexpr int roundCount = 14;

/// The reduction constant of GHASH in POLYVAL's bit order (RFC 8452): x^63 + x^62 + x^57.
constexpr long long reducer = static_cast<long long>(0xc200000000000000);

WEFT_VAES_INLINE __m128i load128(const uint8_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
WEFT_VAES_INLINE void store128(uint8_t* to, __m128i value) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
}
WEFT_VAES_INLINE __m128i reverse128(__m128i value) {
  return _mm_shuffle_epi8(value,
                          _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
WEFT_VAES_INLINE __m512i reverse512(__m512i value) {
  const __m128i order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_shuffle_epi8(value, _mm512_broadcast_i32x4(order));
}
WEFT_VAES_INLINE __m512i roundKey(const uint8_t* keys, int round) {
  return _mm512_broadcast_i32x4(load128(keys + static_cast<size_t>(round) * blockBytes));
}

// --- AES ---

WEFT_VAES_INLINE __m128i expandStep(__m128i key, __m128i assist) {
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  return _mm_xor_si128(key, assist);
}

template <int constant>
WEFT_VAES_INLINE void expandPair(__m128i& even, __m128i& odd, uint8_t* to, bool both) {
  even = expandStep(even, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, constant), 0xff));
  store128(to, even);
  if (!both) return;
  odd = expandStep(odd, _mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa));
  store128(to + blockBytes, odd);
}

/// FIPS 197 key expansion for 256-bit keys: fifteen round keys.
WEFT_VAES void expandKey(const uint8_t* key, uint8_t* to) {
  __m128i even = load128(key);
  __m128i odd = load128(key + blockBytes);
  store128(to, even);
  store128(to + blockBytes, odd);
  expandPair<0x01>(even, odd, to + 2 * blockBytes, true);
  expandPair<0x02>(even, odd, to + 4 * blockBytes, true);
  expandPair<0x04>(even, odd, to + 6 * blockBytes, true);
  expandPair<0x08>(even, odd, to + 8 * blockBytes, true);
  expandPair<0x10>(even, odd, to + 10 * blockBytes, true);
  expandPair<0x20>(even, odd, to + 12 * blockBytes, true);
  expandPair<0x40>(even, odd, to + 14 * blockBytes, false);
}

WEFT_VAES_INLINE __m128i encryptBlock(const uint8_t* keys, __m128i block) {
  block = _mm_xor_si128(block, load128(keys));
  WEFT_UNROLL
  for (int round = 1; round < roundCount; round++) {
    block = _mm_aesenc_si128(block, load128(keys + static_cast<size_t>(round) * blockBytes));
  }
  return _mm_aesenclast_si128(block, load128(keys + roundCount * blockBytes));
}

/// Key stream of sixteen blocks; `counters` holds four of them with their bytes reversed.
WEFT_VAES_INLINE void keyStream(const uint8_t* keys, __m512i& counters, __m512i* stream) {
  const __m512i four = _mm512_broadcast_i32x4(_mm_set_epi32(0, 0, 0, 4));
  const __m512i whitening = roundKey(keys, 0);
  WEFT_UNROLL
  for (int i = 0; i < vectors; i++) {
    stream[i] = _mm512_xor_si512(reverse512(counters), whitening);
    counters = _mm512_add_epi32(counters, four);
  }
  WEFT_UNROLL
  for (int round = 1; round < roundCount; round++) {
    const __m512i key = roundKey(keys, round);
    WEFT_UNROLL
    for (int i = 0; i < vectors; i++) stream[i] = _mm512_aesenc_epi128(stream[i], key);
  }
  const __m512i last = roundKey(keys, roundCount);
  WEFT_UNROLL
  for (int i = 0; i < vectors; i++) stream[i] = _mm512_aesenclast_epi128(stream[i], last);
}

// --- GHASH, computed as POLYVAL on reversed bytes (RFC 8452 appendix A) ---

/// An unreduced sum of products, 256 bits in each lane.
struct Product {
  __m512i low, middle, high;
};

WEFT_VAES_INLINE Product multiply(__m512i a, __m512i b) {
  return {_mm512_clmulepi64_epi128(a, b, 0x00),
          _mm512_xor_si512(_mm512_clmulepi64_epi128(a, b, 0x01),
                           _mm512_clmulepi64_epi128(a, b, 0x10)),
          _mm512_clmulepi64_epi128(a, b, 0x11)};
}

WEFT_VAES_INLINE void accumulate(Product& sum, const Product& more) {
  sum.low = _mm512_xor_si512(sum.low, more.low);
  sum.middle = _mm512_xor_si512(sum.middle, more.middle);
  sum.high = _mm512_xor_si512(sum.high, more.high);
}

WEFT_VAES_INLINE __m128i foldLanes(__m512i value) {
  const __m256i half =
      _mm256_xor_si256(_mm512_castsi512_si256(value), _mm512_extracti64x4_epi64(value, 1));
  return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/// Adds the four lanes and divides by x^128: twice, the low 64 bits t are cleared by adding t times
/// the field polynomial x^128 + x^127 + x^126 + x^121 + 1, and shifted out.
WEFT_VAES_INLINE __m128i reduce(const Product& sum) {
  const __m128i middle = foldLanes(sum.middle);
  __m128i low = _mm_xor_si128(foldLanes(sum.low), _mm_slli_si128(middle, 8));
  const __m128i high = _mm_xor_si128(foldLanes(sum.high), _mm_srli_si128(middle, 8));
  const __m128i constant = _mm_set_epi64x(0, reducer);
  WEFT_UNROLL
  for (int step = 0; step < 2; step++) {
    const __m128i product = _mm_clmulepi64_si128(low, constant, 0x00);
    low = _mm_xor_si128(_mm_shuffle_epi32(low, 0x4e), product);
  }
  return _mm_xor_si128(high, low);
}

WEFT_VAES_INLINE __m128i multiplyBlock(__m128i a, __m128i b) {
  return reduce(multiply(_mm512_zextsi128_si512(a), _mm512_zextsi128_si512(b)));
}

/// a * x in POLYVAL's field.
WEFT_VAES_INLINE __m128i timesX(__m128i a) {
  const __m128i carries = _mm_srli_epi64(a, 63);
  const __m128i shifted = _mm_or_si128(_mm_slli_epi64(a, 1), _mm_slli_si128(carries, 8));
  const __m128i top = _mm_cmpeq_epi32(_mm_shuffle_epi32(carries, 0xaa), _mm_set1_epi32(1));
  return _mm_xor_si128(shifted, _mm_and_si128(top, _mm_set_epi64x(reducer, 1)));
}

/// Hashes up to sixteen blocks, given reversed; unused vectors are zero.
/// @param power H^n for n blocks, H^(n-1) behind it, and so on
WEFT_VAES_INLINE __m128i hashBlocks(__m128i hash, const __m512i* reversed, const uint8_t* power) {
  const __m512i first = _mm512_xor_si512(reversed[0], _mm512_zextsi128_si512(hash));
  Product sum = multiply(first, _mm512_loadu_si512(power));
  WEFT_UNROLL
  for (int i = 1; i < vectors; i++) {
    accumulate(sum, multiply(reversed[i], _mm512_loadu_si512(power + i * vectorBytes)));
  }
  return reduce(sum);
}

/// Where the powers for `bytes` (at most a chunk) begin.
WEFT_VAES_INLINE const uint8_t* powersFor(const uint8_t* table, size_t bytes) {
  return table + (powerCount - (bytes + blockBytes - 1) / blockBytes) * blockBytes;
}

/// The bytes of vector `i` that belong to a chunk of `bytes`.
WEFT_VAES_INLINE __mmask64 maskOf(size_t bytes, int i) {
  const size_t before = static_cast<size_t>(i) * vectorBytes;
  if (bytes >= before + vectorBytes) return ~0ULL;
  return bytes <= before ? 0 : ~0ULL >> (vectorBytes - (bytes - before));
}

/// A last chunk has fewer powers than four loads take: what lies behind is not read.
WEFT_VAES_INLINE __m128i hashTail(__m128i hash, const __m512i* reversed, const uint8_t* table,
                                  size_t bytes) {
  const uint8_t* power = powersFor(table, bytes);
  const __m512i first = _mm512_xor_si512(reversed[0], _mm512_zextsi128_si512(hash));
  Product sum = multiply(first, _mm512_loadu_si512(power));
  for (int i = 1; i < vectors; i++) {
    if (static_cast<size_t>(i) * vectorBytes >= bytes) break;
    accumulate(sum, multiply(reversed[i], _mm512_loadu_si512(power + i * vectorBytes)));
  }
  return reduce(sum);
}

WEFT_VAES __m128i hashBytes(__m128i hash, const uint8_t* table, std::span<const uint8_t> bytes) {
  for (size_t at = 0; at < bytes.size(); at += chunkBytes) {
    const size_t size = std::min(chunkBytes, bytes.size() - at);
    __m512i reversed[vectors];
    WEFT_UNROLL
    for (int i = 0; i < vectors; i++) {
      const uint8_t* from = bytes.data() + at + static_cast<size_t>(i) * vectorBytes;
      reversed[i] = reverse512(_mm512_maskz_loadu_epi8(maskOf(size, i), from));
    }
    hash = hashTail(hash, reversed, table, size);
  }
  return hash;
}

/// En- or decrypts and hashes the ciphertext on the way.
template <bool sealing>
WEFT_VAES __m128i cryptAndHash(const uint8_t* keys, const uint8_t* table, __m128i hash,
                               __m512i counters, std::span<const uint8_t> in, uint8_t* out) {
  size_t at = 0;
  for (; in.size() - at >= chunkBytes; at += chunkBytes) {
    __m512i stream[vectors];
    __m512i reversed[vectors];
    keyStream(keys, counters, stream);
    WEFT_UNROLL
    for (int i = 0; i < vectors; i++) {
      const size_t offset = at + static_cast<size_t>(i) * vectorBytes;
      const __m512i from = _mm512_loadu_si512(in.data() + offset);
      const __m512i to = _mm512_xor_si512(from, stream[i]);
      _mm512_storeu_si512(out + offset, to);
      reversed[i] = reverse512(sealing ? to : from);
    }
    hash = hashBlocks(hash, reversed, table);
  }
  const size_t rest = in.size() - at;
  if (rest == 0) return hash;
  __m512i stream[vectors];
  __m512i reversed[vectors];
  keyStream(keys, counters, stream);
  WEFT_UNROLL
  for (int i = 0; i < vectors; i++) {
    const size_t offset = at + static_cast<size_t>(i) * vectorBytes;
    const __mmask64 mask = maskOf(rest, i);
    const __m512i from = _mm512_maskz_loadu_epi8(mask, in.data() + offset);
    const __m512i to = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(from, stream[i]));
    _mm512_mask_storeu_epi8(out + offset, mask, to);
    reversed[i] = reverse512(sealing ? to : from);
  }
  return hashTail(hash, reversed, table, rest);
}

/// nonce | counter, bytes reversed, so that the counter is the lowest 32 bits.
WEFT_VAES_INLINE __m128i counterBlock(const VaesGcm::Nonce& nonce, uint32_t counter) {
  uint8_t block[blockBytes] = {};
  memcpy(block, nonce.data(), nonce.size());
  const __m128i reversed = reverse128(load128(block));
  return _mm_or_si128(reversed, _mm_set_epi32(0, 0, 0, static_cast<int>(counter)));
}

template <bool sealing>
WEFT_VAES void run(const uint8_t* keys, const uint8_t* table, const VaesGcm::Nonce& nonce,
                   std::span<const uint8_t> associated, std::span<const uint8_t> in, uint8_t* out,
                   uint8_t* tag) {
  const __m512i steps = _mm512_set_epi32(0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0);
  const __m512i counters =
      _mm512_add_epi32(_mm512_broadcast_i32x4(counterBlock(nonce, 2)), steps);
  __m128i hash = hashBytes(_mm_setzero_si128(), table, associated);
  hash = cryptAndHash<sealing>(keys, table, hash, counters, in, out);
  const __m128i lengths = _mm_set_epi64x(static_cast<long long>(associated.size() * 8),
                                         static_cast<long long>(in.size() * 8));
  const __m128i h1 = load128(table + (powerCount - 1) * blockBytes);
  hash = multiplyBlock(_mm_xor_si128(hash, lengths), h1);
  const __m128i mask = encryptBlock(keys, reverse128(counterBlock(nonce, 1)));
  store128(tag, _mm_xor_si128(reverse128(hash), mask));
}

WEFT_VAES void expandHashKey(const uint8_t* keys, uint8_t* table) {
  const __m128i h1 = timesX(reverse128(encryptBlock(keys, _mm_setzero_si128())));
  __m128i power = h1;
  for (size_t i = 0; i < powerCount; i++) {
    store128(table + (powerCount - 1 - i) * blockBytes, power);
    power = multiplyBlock(power, h1);
  }
}

bool sameTag(const uint8_t* a, const uint8_t* b) {
  uint8_t difference = 0;
  for (size_t i = 0; i < VaesGcm::tagBytes; i++) difference |= a[i] ^ b[i];
  return difference == 0;
}

bool detect() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned vaes = 1U << 9;
  constexpr unsigned vpclmulqdq = 1U << 10;
  // The compiler's check of AVX-512 includes that the system saves the wide registers.
  return (ecx & vaes) != 0 && (ecx & vpclmulqdq) != 0 && __builtin_cpu_supports("avx512f") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("aes") != 0 &&
         __builtin_cpu_supports("pclmul") != 0;
}

}  // namespace

bool VaesGcm::supported() {
  static const bool known = detect();
  return known;
}

VaesGcm::VaesGcm(const uint8_t* key) {
  expandKey(key, roundKeys_.data());
  expandHashKey(roundKeys_.data(), hashPowers_.data());
}

void VaesGcm::seal(const Nonce& nonce, std::span<const uint8_t> associated,
                   std::span<const uint8_t> plain, uint8_t* out) const {
  run<true>(roundKeys_.data(), hashPowers_.data(), nonce, associated, plain, out,
            out + plain.size());
}

bool VaesGcm::open(const Nonce& nonce, std::span<const uint8_t> associated,
                   std::span<const uint8_t> sealed, const uint8_t* tag, uint8_t* out) const {
  uint8_t expected[tagBytes];
  uint8_t given[tagBytes];
  memcpy(given, tag, tagBytes);  // `out` may reach over it
  run<false>(roundKeys_.data(), hashPowers_.data(), nonce, associated, sealed, out, expected);
  return sameTag(expected, given);
}

}  // namespace weft

#else  // another CPU: OpenSSL does the work

namespace weft {

bool VaesGcm::supported() { return false; }
VaesGcm::VaesGcm(const uint8_t*) {}
void VaesGcm::seal(const Nonce&, std::span<const uint8_t>, std::span<const uint8_t>,
                   uint8_t*) const {}
bool VaesGcm::open(const Nonce&, std::span<const uint8_t>, std::span<const uint8_t>,
                   const uint8_t*, uint8_t*) const {
  return false;
}

}  // namespace weft

#endif

namespace weft {

VaesGcm::~VaesGcm() {
  explicit_bzero(roundKeys_.data(), roundKeys_.size());
  explicit_bzero(hashPowers_.data(), hashPowers_.size());
}

}  // namespace weft
