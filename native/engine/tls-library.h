// The functions of OpenSSL 3 that streams call, found in the running process (Node exports them) or
// in libssl.so.3. Declared here, so that no OpenSSL header is needed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weft {

struct TlsLibrary {
  const void* (*clientMethod)() = nullptr;
  const void* (*serverMethod)() = nullptr;
  void* (*newContext)(const void* method) = nullptr;
  void (*freeContext)(void* context) = nullptr;
  long (*contextControl)(void* context, int command, long number, void* pointer) = nullptr;
  uint64_t (*setOptions)(void* context, uint64_t options) = nullptr;
  int (*setTickets)(void* context, size_t count) = nullptr;
  int (*setCiphersuites)(void* context, const char* names) = nullptr;
  void (*setReadBuffer)(void* context, size_t bytes) = nullptr;
  int (*useCertificate)(void* context, void* certificate) = nullptr;
  int (*useKey)(void* context, void* key) = nullptr;

  void* (*newSession)(void* context) = nullptr;
  void (*freeSession)(void* session) = nullptr;
  long (*control)(void* session, int command, long number, void* pointer) = nullptr;
  int (*setDescriptor)(void* session, int fd) = nullptr;
  void (*setConnect)(void* session) = nullptr;
  void (*setAccept)(void* session) = nullptr;
  int (*handshake)(void* session) = nullptr;
  int (*read)(void* session, void* into, int bytes) = nullptr;
  int (*write)(void* session, const void* from, int bytes) = nullptr;
  int (*getError)(const void* session, int result) = nullptr;
  int (*shutdown)(void* session) = nullptr;
  void (*clearErrors)() = nullptr;

  void* (*makeKey)(void* library, const char* properties, const char* type, ...) = nullptr;
  void (*freeKey)(void* key) = nullptr;
  void* (*newCertificate)() = nullptr;
  void (*freeCertificate)(void* certificate) = nullptr;
  int (*setVersion)(void* certificate, long version) = nullptr;
  void* (*serialOf)(void* certificate) = nullptr;
  int (*setInteger)(void* integer, uint64_t value) = nullptr;
  void* (*notBefore)(void* certificate) = nullptr;
  void* (*notAfter)(void* certificate) = nullptr;
  void* (*moveTime)(void* time, long seconds) = nullptr;
  void* (*subjectOf)(void* certificate) = nullptr;
  int (*addName)(void* name, const char* field, int type, const uint8_t* text, int bytes, int at,
                 int set) = nullptr;
  int (*setIssuer)(void* certificate, void* name) = nullptr;
  int (*setKey)(void* certificate, void* key) = nullptr;
  int (*sign)(void* certificate, void* key, const void* digest) = nullptr;
  const void* (*sha256)() = nullptr;
};

/// Null when neither the process nor libssl.so.3 offers all of them.
const TlsLibrary* tlsLibrary();

}  // namespace weft
