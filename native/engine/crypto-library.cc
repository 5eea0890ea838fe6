#include "crypto-library.h"

#include <dlfcn.h>

#include "aead.h"

namespace weft {
namespace {

struct Loaded {
  CryptoLibrary library;
  std::string problem;
};

template <typename Function>
bool find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  return function != nullptr;
}

bool findAll(void* handle, CryptoLibrary& into) {
  return find(handle, "EVP_CIPHER_fetch", into.fetchCipher) &&
         find(handle, "EVP_CIPHER_CTX_new", into.newContext) &&
         find(handle, "EVP_CIPHER_CTX_free", into.freeContext) &&
         find(handle, "EVP_EncryptInit_ex", into.encryptInit) &&
         find(handle, "EVP_EncryptUpdate", into.encryptUpdate) &&
         find(handle, "EVP_EncryptFinal_ex", into.encryptFinal) &&
         find(handle, "EVP_DecryptInit_ex", into.decryptInit) &&
         find(handle, "EVP_DecryptUpdate", into.decryptUpdate) &&
         find(handle, "EVP_DecryptFinal_ex", into.decryptFinal) &&
         find(handle, "EVP_CIPHER_CTX_ctrl", into.control);
}

/// All functions come from one library: contexts of two versions do not mix.
bool findAnywhere(CryptoLibrary& into) {
  if (findAll(RTLD_DEFAULT, into)) return true;
  void* handle = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
  return handle != nullptr && findAll(handle, into);
}

Loaded load() {
  Loaded loaded;
  CryptoLibrary& library = loaded.library;
  if (!findAnywhere(library)) {
    loaded.problem = "neither this process nor libcrypto.so.3 offers OpenSSL 3's EVP functions";
    return loaded;
  }
  library.aes256gcm = library.fetchCipher(nullptr, "AES-256-GCM", nullptr);
  library.chacha20poly1305 = library.fetchCipher(nullptr, "ChaCha20-Poly1305", nullptr);
  if (library.aes256gcm == nullptr && library.chacha20poly1305 == nullptr) {
    loaded.problem = "OpenSSL offers neither AES-256-GCM nor ChaCha20-Poly1305";
  }
  return loaded;
}

const Loaded& loaded() {
  static const Loaded once = load();
  return once;
}

}  // namespace

const CryptoLibrary& cryptoLibrary() { return loaded().library; }
const std::string& loadCryptoLibrary() { return loaded().problem; }

}  // namespace weft
