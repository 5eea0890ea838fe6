// The few EVP functions of OpenSSL 3 that the engine calls, found in the running process (Node
// exports them) or in libcrypto.so.3. Declared here, so that no OpenSSL header is needed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace weft {

/// Null members mean that loadCryptoLibrary() failed.
struct CryptoLibrary {
  void* (*fetchCipher)(void* library, const char* name, const char* properties) = nullptr;
  void* (*newContext)() = nullptr;
  void (*freeContext)(void* context) = nullptr;
  int (*encryptInit)(void* context, const void* cipher, void* engine, const uint8_t* key,
                     const uint8_t* iv) = nullptr;
  int (*encryptUpdate)(void* context, uint8_t* out, int* outBytes, const uint8_t* in,
                       int inBytes) = nullptr;
  int (*encryptFinal)(void* context, uint8_t* out, int* outBytes) = nullptr;
  int (*decryptInit)(void* context, const void* cipher, void* engine, const uint8_t* key,
                     const uint8_t* iv) = nullptr;
  int (*decryptUpdate)(void* context, uint8_t* out, int* outBytes, const uint8_t* in,
                       int inBytes) = nullptr;
  int (*decryptFinal)(void* context, uint8_t* out, int* outBytes) = nullptr;
  int (*control)(void* context, int type, int argument, void* pointer) = nullptr;

  /// EVP_CIPHER objects, fetched once for the life of the process.
  const void* aes256gcm = nullptr;
  const void* chacha20poly1305 = nullptr;
};

/// Valid after loadCryptoLibrary() returned an empty string.
const CryptoLibrary& cryptoLibrary();

}  // namespace weft
