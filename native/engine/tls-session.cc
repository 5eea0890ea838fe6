#include "tls-session.h"

#include <sys/random.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

#include "engine-limits.h"
#include "tls-library.h"

namespace weft {
namespace {

// Numbers of openssl/ssl.h.
constexpr int setMinimumVersion = 123;
constexpr long tls12 = 0x0303;
constexpr int setMode = 33;
constexpr long partialWrites = 1, movingBuffers = 2, releaseBuffers = 16;
constexpr int setReadAhead = 41;
constexpr int setSessionCache = 44;
constexpr int setHostName = 55;
constexpr uint64_t noTickets = 1ULL << 14, noCompression = 1ULL << 17, serverChooses = 1ULL << 22,
                   noRenegotiation = 1ULL << 30;
constexpr int errorWantRead = 2, errorWantWrite = 3;
constexpr int asciiText = 0x1001;

/// The cheaper AES first: what is inside has its own 256 bits.
constexpr const char* ciphersuites =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
/// Says nothing about weft. Some firewalls drop a handshake that names nobody.
constexpr char neutralName[] = "www.example.com";
constexpr long day = 86'400;

struct Contexts {
  void* client = nullptr;
  void* server = nullptr;
};

void* makeContext(const TlsLibrary& tls, const void* method) {
  void* context = tls.newContext(method);
  if (context == nullptr) return nullptr;
  tls.contextControl(context, setMinimumVersion, tls12, nullptr);
  tls.contextControl(context, setMode, partialWrites | movingBuffers | releaseBuffers, nullptr);
  tls.contextControl(context, setSessionCache, 0, nullptr);
  // One read of the kernel brings several records.
  tls.contextControl(context, setReadAhead, 1, nullptr);
  tls.setReadBuffer(context, limits::streamReadBytes);
  tls.setOptions(context, noTickets | noCompression | serverChooses | noRenegotiation);
  tls.setTickets(context, 0);
  tls.setCiphersuites(context, ciphersuites);
  return context;
}

uint64_t randomSerial() {
  uint64_t serial = 1;
  (void)!getrandom(&serial, sizeof serial, GRND_NONBLOCK);
  return serial >> 1;
}

/// Self-signed for half a year around now; the key lives as long as the process.
bool certify(const TlsLibrary& tls, void* certificate, void* key) {
  void* name = tls.subjectOf(certificate);
  const auto* text = reinterpret_cast<const uint8_t*>(neutralName);
  return tls.setVersion(certificate, 2) == 1 &&
         tls.setInteger(tls.serialOf(certificate), randomSerial()) == 1 &&
         tls.moveTime(tls.notBefore(certificate), -30 * day) != nullptr &&
         tls.moveTime(tls.notAfter(certificate), 150 * day) != nullptr &&
         tls.addName(name, "CN", asciiText, text, -1, -1, 0) == 1 &&
         tls.setIssuer(certificate, name) == 1 && tls.setKey(certificate, key) == 1 &&
         tls.sign(certificate, key, tls.sha256()) > 0;
}

void* makeServer(const TlsLibrary& tls) {
  void* context = makeContext(tls, tls.serverMethod());
  void* key = tls.makeKey(nullptr, nullptr, "EC", "P-256");
  void* certificate = tls.newCertificate();
  const bool made = context != nullptr && key != nullptr && certificate != nullptr &&
                    certify(tls, certificate, key) &&
                    tls.useCertificate(context, certificate) == 1 &&
                    tls.useKey(context, key) == 1;
  if (certificate != nullptr) tls.freeCertificate(certificate);  // the context has its own hold
  if (key != nullptr) tls.freeKey(key);
  if (made) return context;
  if (context != nullptr) tls.freeContext(context);
  return nullptr;
}

const Contexts& contexts() {
  static const Contexts made = [] {
    Contexts both;
    if (const TlsLibrary* tls = tlsLibrary()) {
      both.client = makeContext(*tls, tls->clientMethod());
      both.server = makeServer(*tls);
    }
    return both;
  }();
  return made;
}

}  // namespace

bool tlsAvailable() { return contexts().client != nullptr && contexts().server != nullptr; }

std::optional<TlsSession> TlsSession::make(Side side, int fd) {
  if (!tlsAvailable()) return std::nullopt;
  const TlsLibrary& tls = *tlsLibrary();
  void* session = tls.newSession(side == Side::client ? contexts().client : contexts().server);
  if (session == nullptr) return std::nullopt;
  TlsSession made(session);
  if (tls.setDescriptor(session, fd) != 1) return std::nullopt;
  if (side == Side::server) {
    tls.setAccept(session);
  } else {
    tls.setConnect(session);
    tls.control(session, setHostName, 0, const_cast<char*>(neutralName));
  }
  return made;
}

TlsSession::TlsSession(TlsSession&& other) noexcept
    : session_(std::exchange(other.session_, nullptr)), broken_(other.broken_) {}

TlsSession::~TlsSession() {
  if (session_ != nullptr) tlsLibrary()->freeSession(session_);
}

TlsSession::Outcome TlsSession::handshake() {
  tlsLibrary()->clearErrors();
  const int result = tlsLibrary()->handshake(session_);
  return result == 1 ? Outcome::done : outcomeOf(result);
}

TlsSession::Transfer TlsSession::read(uint8_t* into, size_t bytes) {
  tlsLibrary()->clearErrors();
  const int size = static_cast<int>(std::min<size_t>(bytes, INT_MAX));
  return transferOf(tlsLibrary()->read(session_, into, size));
}

TlsSession::Transfer TlsSession::write(const uint8_t* from, size_t bytes) {
  tlsLibrary()->clearErrors();
  const int size = static_cast<int>(std::min<size_t>(bytes, INT_MAX));
  return transferOf(tlsLibrary()->write(session_, from, size));
}

void TlsSession::sayGoodbye() {
  if (broken_) return;
  tlsLibrary()->clearErrors();
  tlsLibrary()->shutdown(session_);
}

TlsSession::Transfer TlsSession::transferOf(int result) {
  if (result > 0) return {Outcome::done, static_cast<size_t>(result)};
  return {outcomeOf(result), 0};
}

TlsSession::Outcome TlsSession::outcomeOf(int result) {
  const int error = tlsLibrary()->getError(session_, result);
  if (error == errorWantRead) return Outcome::wantsRead;
  if (error == errorWantWrite) return Outcome::wantsWrite;
  broken_ = true;
  return Outcome::failed;
}

}  // namespace weft
