#include "upcall-writer.h"

#include "values.h"

namespace weft {
namespace {

using Napi::Env;
using Napi::Number;
using Napi::Object;

/// One overload for each kind of upcall.
struct Writer {
  Env env;

  Object make(const char* kind) const {
    Object object = Object::New(env);
    object.Set("kind", kind);
    return object;
  }

  Napi::Value number(uint64_t value) const { return Number::New(env, static_cast<double>(value)); }

  Object operator()(const DatagramUpcall& upcall) const {
    Object object = make("datagram");
    object.Set("socket", number(upcall.socket));
    object.Set("from", endpointValue(env, upcall.from));
    object.Set("bytes", bytesValue(env, upcall.bytes));
    return object;
  }

  Object operator()(const ControlUpcall& upcall) const {
    Object object = make("control");
    object.Set("session", number(upcall.session));
    object.Set("path", upcall.path ? number(*upcall.path) : env.Undefined());
    object.Set("socket", number(upcall.socket));
    object.Set("from", upcall.from ? endpointValue(env, *upcall.from) : env.Undefined());
    object.Set("datagramBytes", number(upcall.datagramBytes));
    object.Set("bytes", bytesValue(env, upcall.bytes));
    return object;
  }

  Object operator()(const KeysConfirmedUpcall& upcall) const {
    Object object = make("keys-confirmed");
    object.Set("session", number(upcall.session));
    object.Set("receive", number(upcall.receive));
    return object;
  }

  Object operator()(const EndpointUpcall& upcall) const {
    Object object = make("endpoint");
    object.Set("session", number(upcall.session));
    object.Set("socket", number(upcall.socket));
    object.Set("from", endpointValue(env, upcall.from));
    return object;
  }

  Object operator()(const SizeRefusedUpcall& upcall) const {
    Object object = make("size-refused");
    object.Set("socket", number(upcall.socket));
    object.Set("to", endpointValue(env, upcall.to));
    object.Set("datagramBytes", number(upcall.datagramBytes));
    return object;
  }

  Object operator()(const RekeyDueUpcall& upcall) const {
    Object object = make("rekey-due");
    object.Set("session", number(upcall.session));
    return object;
  }

  Object operator()(const MissUpcall& upcall) const {
    Object object = make("miss");
    object.Set("mac", macText(upcall.mac));
    object.Set("head", bytesValue(env, upcall.head));
    return object;
  }

  Object operator()(const FrameUpcall& upcall) const {
    Object object = make("frame");
    object.Set("bytes", bytesValue(env, upcall.bytes));
    return object;
  }

  Object operator()(const HeldUpcall& upcall) const {
    Object object = make("held");
    object.Set("session", number(upcall.session));
    object.Set("mac", macText(upcall.mac));
    object.Set("ip", upcall.ip ? ipValue(env, *upcall.ip) : env.Undefined());
    return object;
  }

  Object operator()(const SocketOpenedUpcall& upcall) const {
    Object object = make("socket-opened");
    object.Set("socket", number(upcall.socket));
    object.Set("family", number(static_cast<uint64_t>(upcall.family)));
    object.Set("port", number(upcall.port));
    object.Set("from", upcall.from ? endpointValue(env, *upcall.from) : env.Undefined());
    return object;
  }

  Object operator()(const SocketFailedUpcall& upcall) const {
    Object object = make("socket-failed");
    object.Set("socket", number(upcall.socket));
    object.Set("reason", failure(upcall.reason));
    return object;
  }

  Object operator()(const SocketClosedUpcall& upcall) const {
    Object object = make("socket-closed");
    object.Set("socket", number(upcall.socket));
    return object;
  }

  Object operator()(const ListeningUpcall& upcall) const {
    Object object = make("listening");
    object.Set("port", number(upcall.port));
    return object;
  }

  Object operator()(const ListenFailedUpcall& upcall) const {
    Object object = make("listen-failed");
    object.Set("port", number(upcall.port));
    object.Set("reason", failure(upcall.reason));
    return object;
  }

  Napi::Value failure(SocketFailure reason) const {
    const std::string_view name = socketFailureNames[static_cast<size_t>(reason)];
    return Napi::String::New(env, name.data(), name.size());
  }

  Object operator()(const TrafficUpcall& upcall) const {
    Napi::Array sessions = Napi::Array::New(env, upcall.sessions.size());
    for (uint32_t i = 0; i < upcall.sessions.size(); i++) {
      sessions.Set(i, traffic(upcall.sessions[i]));
    }
    Object object = make("traffic");
    object.Set("sessions", sessions);
    return object;
  }

  Object traffic(const SessionTraffic& traffic) const {
    Object object = Object::New(env);
    object.Set("session", number(traffic.session));
    object.Set("framesIn", number(traffic.framesIn));
    object.Set("framesOut", number(traffic.framesOut));
    object.Set("bytesIn", number(traffic.bytesIn));
    object.Set("bytesOut", number(traffic.bytesOut));
    object.Set("controlBytesIn", number(traffic.controlBytesIn));
    object.Set("controlBytesOut", number(traffic.controlBytesOut));
    object.Set("relayedBytes", number(traffic.relayedBytes));
    object.Set("silentMs", traffic.silentMs ? number(*traffic.silentMs) : env.Undefined());
    return object;
  }
};

}  // namespace

Napi::Array writeUpcalls(Env env, const std::vector<Upcall>& upcalls) {
  Napi::Array array = Napi::Array::New(env, upcalls.size());
  for (uint32_t i = 0; i < upcalls.size(); i++) {
    // a scope for each one: a drain of thousands would otherwise keep every handle until the end
    Napi::HandleScope scope(env);
    array.Set(i, std::visit(Writer{env}, upcalls[i]));
  }
  return array;
}

}  // namespace weft
