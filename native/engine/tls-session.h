// One TLS session (1.3 or 1.2) on a non-blocking TCP socket. Nobody checks a certificate: what is
// inside authenticates itself, TLS is only what networks let pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace weft {

class TlsSession {
 public:
  enum class Side : uint8_t { client, server };
  enum class Outcome : uint8_t { done, wantsRead, wantsWrite, failed };
  struct Transfer {
    Outcome outcome = Outcome::failed;
    size_t bytes = 0;  // when done
  };

  /// Nothing when OpenSSL is missing or refuses. `fd` is borrowed.
  static std::optional<TlsSession> make(Side side, int fd);

  TlsSession(TlsSession&& other) noexcept;
  TlsSession& operator=(TlsSession&&) = delete;
  ~TlsSession();

  Outcome handshake();
  Transfer read(uint8_t* into, size_t bytes);
  /// May take a part. What did not go must be given again, longer or as it was.
  Transfer write(const uint8_t* from, size_t bytes);
  /// Tells the peer that nothing follows, if it can be told at once.
  void sayGoodbye();

 private:
  explicit TlsSession(void* session) : session_(session) {}
  Transfer transferOf(int result);
  Outcome outcomeOf(int result);

  void* session_;
  bool broken_ = false;  // OpenSSL forbids a goodbye after a fatal error
};

/// Whether TLS can be had; makes contexts and certificate at the first call (about 1 ms).
bool tlsAvailable();

}  // namespace weft
