#include "aead.h"

#include <utility>

#include "crypto-library.h"

namespace weft {
namespace {

// EVP_CTRL_AEAD_* of <openssl/evp.h>; stable ABI since OpenSSL 1.1.
constexpr int controlGetTag = 0x10;
constexpr int controlSetTag = 0x11;

const void* cipherOf(Cipher cipher) {
  const CryptoLibrary& library = cryptoLibrary();
  return cipher == Cipher::aes256gcm ? library.aes256gcm : library.chacha20poly1305;
}

}  // namespace

std::optional<Aead> Aead::make(Cipher cipher, Direction direction, Bytes key, Provider provider) {
  if (!loadCryptoLibrary().empty() || key.size() != keyBytes) return std::nullopt;
  if (cipher == Cipher::aes256gcm && provider == Provider::fastest && VaesGcm::supported()) {
    return Aead(std::make_unique<VaesGcm>(key.data()));
  }
  const CryptoLibrary& library = cryptoLibrary();
  const void* evpCipher = cipherOf(cipher);
  if (evpCipher == nullptr) return std::nullopt;
  void* context = library.newContext();
  if (context == nullptr) return std::nullopt;
  Aead aead(context);
  const auto init = direction == Direction::seal ? library.encryptInit : library.decryptInit;
  if (init(context, evpCipher, nullptr, key.data(), nullptr) != 1) return std::nullopt;
  return aead;
}

Aead::Aead(Aead&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)), wide_(std::move(other.wide_)) {}

Aead& Aead::operator=(Aead&& other) noexcept {
  std::swap(context_, other.context_);
  std::swap(wide_, other.wide_);
  return *this;
}

Aead::~Aead() {
  if (context_ != nullptr) cryptoLibrary().freeContext(context_);
}

bool Aead::seal(const Nonce& nonce, Bytes associated, Bytes plain, uint8_t* out) {
  if (wide_ != nullptr) {
    wide_->seal(nonce, associated, plain, out);
    return true;
  }
  const CryptoLibrary& library = cryptoLibrary();
  int written = 0;
  const int plainBytes = static_cast<int>(plain.size());
  if (library.encryptInit(context_, nullptr, nullptr, nullptr, nonce.data()) != 1) return false;
  if (!associated.empty() &&
      library.encryptUpdate(context_, nullptr, &written, associated.data(),
                            static_cast<int>(associated.size())) != 1) {
    return false;
  }
  if (plainBytes > 0 &&
      library.encryptUpdate(context_, out, &written, plain.data(), plainBytes) != 1) {
    return false;
  }
  uint8_t* tag = out + plain.size();
  return library.encryptFinal(context_, tag, &written) == 1 &&
         library.control(context_, controlGetTag, static_cast<int>(tagBytes), tag) == 1;
}

bool Aead::open(const Nonce& nonce, Bytes associated, Bytes sealed, uint8_t* out) {
  if (sealed.size() < tagBytes) return false;
  if (wide_ != nullptr) {
    const Bytes body = sealed.first(sealed.size() - tagBytes);
    return wide_->open(nonce, associated, body, sealed.data() + body.size(), out);
  }
  const CryptoLibrary& library = cryptoLibrary();
  const size_t plainBytes = sealed.size() - tagBytes;
  int written = 0;
  // The library copies the tag; it takes it by a pointer that is not const.
  std::array<uint8_t, tagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + plainBytes, tagBytes);
  if (library.decryptInit(context_, nullptr, nullptr, nullptr, nonce.data()) != 1) return false;
  if (library.control(context_, controlSetTag, static_cast<int>(tagBytes), tag.data()) != 1) {
    return false;
  }
  if (!associated.empty() &&
      library.decryptUpdate(context_, nullptr, &written, associated.data(),
                            static_cast<int>(associated.size())) != 1) {
    return false;
  }
  if (plainBytes > 0 && library.decryptUpdate(context_, out, &written, sealed.data(),
                                              static_cast<int>(plainBytes)) != 1) {
    return false;
  }
  std::array<uint8_t, tagBytes> rest;
  return library.decryptFinal(context_, rest.data(), &written) == 1;
}

}  // namespace weft
