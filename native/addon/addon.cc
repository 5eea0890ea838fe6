// The addon's exports: Engine, Tap, NetworkWatch, seal, open, mac1, boottimeMs, framePair,
// notifyService. One copy of everything for each environment, so that Workers may load it too.
#include <napi.h>
#include <sys/socket.h>
#include <time.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "aead.h"
#include "blake2b.h"
#include "engine-object.h"
#include "network-watch.h"
#include "service-notify.h"
#include "tap-object.h"
#include "values.h"

namespace weft {
namespace {

using Napi::CallbackInfo;
using Napi::Object;

/// The arguments of `seal` and `open`: {cipher, key, nonce, associated, bytes}.
struct AeadCall {
  std::optional<Aead> aead;
  Aead::Nonce nonce{};
  Bytes associated;
  Bytes bytes;
};

bool readAeadCall(const CallbackInfo& info, Aead::Direction direction, AeadCall& call) {
  const Napi::Env env = info.Env();
  FieldReader reader(env);
  const Object from = info[0].IsObject() ? info[0].As<Object>() : Object::New(env);
  const std::string cipher = reader.text(from, "cipher");
  const Bytes key = reader.bytes(from, "key");
  const Bytes nonce = reader.bytes(from, "nonce");
  call.associated = reader.bytes(from, "associated");
  call.bytes = reader.bytes(from, "bytes");
  if (cipher != "aes256gcm" && cipher != "chacha20poly1305") reader.fail("cipher", "a cipher");
  if (key.size() != Aead::keyBytes) reader.fail("key", "32 bytes long");
  if (nonce.size() != Aead::nonceBytes) reader.fail("nonce", "12 bytes long");
  if (!reader.ok()) {
    reader.throwProblem();
    return false;
  }
  std::copy(nonce.begin(), nonce.end(), call.nonce.begin());
  call.aead = Aead::make(cipher == "aes256gcm" ? Cipher::aes256gcm : Cipher::chacha20poly1305,
                         direction, key);
  if (call.aead) return true;
  Napi::Error::New(env, "the crypto library refused the key").ThrowAsJavaScriptException();
  return false;
}

/// Ciphertext and tag.
Napi::Value seal(const CallbackInfo& info) {
  AeadCall call;
  if (!readAeadCall(info, Aead::Direction::seal, call)) return info.Env().Undefined();
  std::vector<uint8_t> out(call.bytes.size() + Aead::tagBytes);
  if (!call.aead->seal(call.nonce, call.associated, call.bytes, out.data())) {
    return info.Env().Undefined();
  }
  return bytesValue(info.Env(), out);
}

/// The plaintext; undefined when the tag is wrong.
Napi::Value open(const CallbackInfo& info) {
  AeadCall call;
  if (!readAeadCall(info, Aead::Direction::open, call)) return info.Env().Undefined();
  if (call.bytes.size() < Aead::tagBytes) return info.Env().Undefined();
  std::vector<uint8_t> out(call.bytes.size() - Aead::tagBytes + 1);
  if (!call.aead->open(call.nonce, call.associated, call.bytes, out.data())) {
    return info.Env().Undefined();
  }
  out.pop_back();
  return bytesValue(info.Env(), out);
}

/// mac1(key 32 B, message) -> 16 B.
Napi::Value mac1(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  FieldReader reader(env);
  const Object from = info[0].IsObject() ? info[0].As<Object>() : Object::New(env);
  const Bytes key = reader.bytes(from, "key");
  const Bytes message = reader.bytes(from, "bytes");
  Mac1Key mac1Key{};
  if (key.size() != mac1Key.size()) reader.fail("key", "32 bytes long");
  if (!reader.ok()) {
    reader.throwProblem();
    return env.Undefined();
  }
  std::copy(key.begin(), key.end(), mac1Key.begin());
  const Mac1 mac = blake2bMac(mac1Key, message);
  return bytesValue(env, mac);
}

/// Milliseconds since boot, suspended time included, with their fraction.
Napi::Value boottimeMs(const CallbackInfo& info) {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const double ms = static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
  return Napi::Number::New(info.Env(), ms);
}

/// Two connected descriptors that keep packet borders: a TAP that needs no privilege.
Napi::Value framePair(const CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    const std::string cause = std::string("socketpair: ") + strerror(errno);
    Napi::Error::New(env, cause).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const int room = 1 << 20;  // the far end is read by a slow test, not by a kernel
  for (const int fd : ends) setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
  Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0U, Napi::Number::New(env, ends[0]));
  pair.Set(1U, Napi::Number::New(env, ends[1]));
  return pair;
}

Object initialize(Napi::Env env, Object exports) {
  exports.Set("Engine", EngineObject::define(env));
  exports.Set("Tap", TapObject::define(env));
  exports.Set("NetworkWatch", NetworkWatch::define(env));
  exports.Set("seal", Napi::Function::New(env, seal, "seal"));
  exports.Set("open", Napi::Function::New(env, open, "open"));
  exports.Set("mac1", Napi::Function::New(env, mac1, "mac1"));
  exports.Set("boottimeMs", Napi::Function::New(env, boottimeMs, "boottimeMs"));
  exports.Set("framePair", Napi::Function::New(env, framePair, "framePair"));
  exports.Set("notifyService", Napi::Function::New(env, notifyService, "notifyService"));
  return exports;
}

}  // namespace
}  // namespace weft

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  return weft::initialize(env, exports);
}

NODE_API_MODULE(weft, Init)
