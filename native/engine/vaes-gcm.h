// AES-256-GCM (NIST SP 800-38D, 96-bit nonces) on CPUs with VAES, VPCLMULQDQ and AVX-512: sixteen
// blocks at a time, one pass. OpenSSL 3.0, which Node 20 carries, uses 128-bit AES-NI and looks up
// parameters by name for every packet; this is about four times as fast on packets. Tests hold it
// to published vectors and to OpenSSL on random input.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace weft {

class VaesGcm {
 public:
  static constexpr size_t tagBytes = 16;
  using Nonce = std::array<uint8_t, 12>;

  /// Whether this CPU and the system can run it. The other functions need that.
  static bool supported();

  /// @param key 32 bytes
  explicit VaesGcm(const uint8_t* key);
  ~VaesGcm();  // wipes the key schedule
  VaesGcm(const VaesGcm&) = delete;
  VaesGcm& operator=(const VaesGcm&) = delete;

  /// `out` takes plain.size() bytes (may be plain itself) and then the tag.
  void seal(const Nonce& nonce, std::span<const uint8_t> associated,
            std::span<const uint8_t> plain, uint8_t* out) const;
  /// `sealed` without its tag; `out` may be sealed itself. False when the tag is wrong.
  bool open(const Nonce& nonce, std::span<const uint8_t> associated,
            std::span<const uint8_t> sealed, const uint8_t* tag, uint8_t* out) const;

 private:
  static constexpr size_t rounds = 14;
  static constexpr size_t blockBytes = 16;
  static constexpr size_t powers = 16;
  /// A load of four powers may start at the last one.
  static constexpr size_t paddingBlocks = 3;

  /// H^16 .. H^1
  alignas(64) std::array<uint8_t, (powers + paddingBlocks) * blockBytes> hashPowers_{};
  alignas(64) std::array<uint8_t, (rounds + 1) * blockBytes> roundKeys_{};
};

}  // namespace weft
