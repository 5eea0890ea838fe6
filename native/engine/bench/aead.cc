// Nanoseconds to seal and open one packet, by cipher and provider:  aead [BYTES]
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "aead.h"

namespace {

using namespace weft;

double cpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

void measure(const char* name, Cipher cipher, Aead::Provider provider, size_t bytes) {
  const std::vector<uint8_t> key(32, 1);
  auto sealing = Aead::make(cipher, Aead::Direction::seal, key, provider);
  auto opening = Aead::make(cipher, Aead::Direction::open, key, provider);
  if (!sealing || !opening) return;
  std::vector<uint8_t> plain(bytes, 2), sealed(bytes + Aead::tagBytes);
  constexpr int rounds = 200'000;
  const double start = cpuNs();
  for (int i = 0; i < rounds; i++) sealing->seal({}, {}, plain, sealed.data());
  const double middle = cpuNs();
  for (int i = 0; i < rounds; i++) opening->open({}, {}, sealed, plain.data());
  const double end = cpuNs();
  std::printf("%-28s %5zu B  seal %6.0f ns  open %6.0f ns\n", name, bytes,
              (middle - start) / rounds, (end - middle) / rounds);
}

}  // namespace

int main(int argc, char** argv) {
  const size_t bytes = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1400;
  measure("aes256gcm, fastest", Cipher::aes256gcm, Aead::Provider::fastest, bytes);
  measure("aes256gcm, library", Cipher::aes256gcm, Aead::Provider::library, bytes);
  measure("chacha20poly1305", Cipher::chacha20poly1305, Aead::Provider::library, bytes);
}
