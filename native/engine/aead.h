// AES-256-GCM and ChaCha20-Poly1305. AES runs on the CPU's wide instructions where it has them
// (vaes-gcm); everything else through the EVP functions of the running process (crypto-library).
// One context is made per key and direction; a packet only sets the nonce.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "commands.h"
#include "vaes-gcm.h"

namespace weft {

/// One key in one direction. Not thread-safe: one owner seals or opens with it.
class Aead {
 public:
  enum class Direction : uint8_t { seal, open };
  /// Who does the work; `library` is for comparing the two.
  enum class Provider : uint8_t { fastest, library };
  static constexpr size_t keyBytes = 32;
  static constexpr size_t nonceBytes = 12;
  static constexpr size_t tagBytes = 16;
  using Nonce = std::array<uint8_t, nonceBytes>;

  /// Nothing when the key is not 32 bytes or the crypto library refuses.
  static std::optional<Aead> make(Cipher cipher, Direction direction, Bytes key,
                                  Provider provider = Provider::fastest);

  Aead(Aead&& other) noexcept;
  Aead& operator=(Aead&& other) noexcept;
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;
  ~Aead();

  /// `out` takes plain.size() bytes (may be plain itself) and then the tag. False when the library
  /// fails.
  bool seal(const Nonce& nonce, Bytes associated, Bytes plain, uint8_t* out);
  /// `sealed` ends in its tag; `out` takes sealed.size() - 16 bytes (may be sealed itself). False
  /// when the tag is wrong or `sealed` is shorter than a tag; `out` must not be read then.
  bool open(const Nonce& nonce, Bytes associated, Bytes sealed, uint8_t* out);

 private:
  explicit Aead(void* context) : context_(context) {}
  explicit Aead(std::unique_ptr<VaesGcm> wide) : wide_(std::move(wide)) {}

  void* context_ = nullptr;        // EVP_CIPHER_CTX*, or
  std::unique_ptr<VaesGcm> wide_;  // not null: instead of it
};

/// Finds the EVP functions, once per process. Empty string = found, else a sentence for the user.
const std::string& loadCryptoLibrary();

}  // namespace weft
