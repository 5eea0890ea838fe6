#include "tls-library.h"

#include <dlfcn.h>

namespace weft {
namespace {

template <typename Function>
bool find(void* handle, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(handle, name));
  return function != nullptr;
}

bool findContexts(void* handle, TlsLibrary& into) {
  return find(handle, "TLS_client_method", into.clientMethod) &&
         find(handle, "TLS_server_method", into.serverMethod) &&
         find(handle, "SSL_CTX_new", into.newContext) &&
         find(handle, "SSL_CTX_free", into.freeContext) &&
         find(handle, "SSL_CTX_ctrl", into.contextControl) &&
         find(handle, "SSL_CTX_set_options", into.setOptions) &&
         find(handle, "SSL_CTX_set_num_tickets", into.setTickets) &&
         find(handle, "SSL_CTX_set_ciphersuites", into.setCiphersuites) &&
         find(handle, "SSL_CTX_set_default_read_buffer_len", into.setReadBuffer) &&
         find(handle, "SSL_CTX_use_certificate", into.useCertificate) &&
         find(handle, "SSL_CTX_use_PrivateKey", into.useKey);
}

bool findSessions(void* handle, TlsLibrary& into) {
  return find(handle, "SSL_new", into.newSession) &&
         find(handle, "SSL_free", into.freeSession) && find(handle, "SSL_ctrl", into.control) &&
         find(handle, "SSL_set_fd", into.setDescriptor) &&
         find(handle, "SSL_set_connect_state", into.setConnect) &&
         find(handle, "SSL_set_accept_state", into.setAccept) &&
         find(handle, "SSL_do_handshake", into.handshake) &&
         find(handle, "SSL_read", into.read) && find(handle, "SSL_write", into.write) &&
         find(handle, "SSL_get_error", into.getError) &&
         find(handle, "SSL_shutdown", into.shutdown) &&
         find(handle, "ERR_clear_error", into.clearErrors);
}

bool findCertificates(void* handle, TlsLibrary& into) {
  return find(handle, "EVP_PKEY_Q_keygen", into.makeKey) &&
         find(handle, "EVP_PKEY_free", into.freeKey) &&
         find(handle, "X509_new", into.newCertificate) &&
         find(handle, "X509_free", into.freeCertificate) &&
         find(handle, "X509_set_version", into.setVersion) &&
         find(handle, "X509_get_serialNumber", into.serialOf) &&
         find(handle, "ASN1_INTEGER_set_uint64", into.setInteger) &&
         find(handle, "X509_getm_notBefore", into.notBefore) &&
         find(handle, "X509_getm_notAfter", into.notAfter) &&
         find(handle, "X509_gmtime_adj", into.moveTime) &&
         find(handle, "X509_get_subject_name", into.subjectOf) &&
         find(handle, "X509_NAME_add_entry_by_txt", into.addName) &&
         find(handle, "X509_set_issuer_name", into.setIssuer) &&
         find(handle, "X509_set_pubkey", into.setKey) && find(handle, "X509_sign", into.sign) &&
         find(handle, "EVP_sha256", into.sha256);
}

bool findAll(void* handle, TlsLibrary& into) {
  return findContexts(handle, into) && findSessions(handle, into) &&
         findCertificates(handle, into);
}

/// All functions come from one library: objects of two versions do not mix. libssl brings the
/// libcrypto that it was built for.
bool findAnywhere(TlsLibrary& into) {
  if (findAll(RTLD_DEFAULT, into)) return true;
  void* handle = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
  return handle != nullptr && findAll(handle, into);
}

}  // namespace

const TlsLibrary* tlsLibrary() {
  static TlsLibrary library;
  static const bool found = findAnywhere(library);
  return found ? &library : nullptr;
}

}  // namespace weft
