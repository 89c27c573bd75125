// Methods of the JavaScript class Engine about published ports: relayed ones, and those of the port driver bypass.
#include "binding/engine/engine_object.h"
#include "binding/exports.h"

namespace rn {

namespace {

// In the order of Refusal.
constexpr const char* kRefusalNames[kRefusals] = {"no-server", "unreachable", "limit", "agent", "other"};

napi_value addPorts(EngineObject& object, napi_env, const Args& args) {
  // (firstId, type, fds, firstChildPort, target, proxyProtocol, inbound)
  PortOptions first;
  first.id = args.number(0);
  first.target.type = args.socketType(1);
  first.target.port = uint16_t(args.number(3));
  first.target.request = std::make_shared<const std::string>(args.bytes(4));
  first.proxyProtocol = int(args.number(5));
  auto inbound = args.addresses(6, 0);
  if (!inbound.empty()) first.target.inbound = std::make_shared<const std::vector<Address>>(std::move(inbound));
  for (auto& port : object.engine().addPorts(first, args.fds(2))) object.ports[port->id()] = std::move(port);
  return nullptr;
}
napi_value removePorts(EngineObject& object, napi_env, const Args& args) {
  // (firstId, count)
  uint32_t first = args.number(0), count = args.number(1);
  object.engine().removePorts(first, count);
  for (uint32_t i = 0; i < count; i++) object.ports.erase(first + i);
  return nullptr;
}
napi_value counters(EngineObject& object, napi_env env, const Args& args) {
  auto it = object.ports.find(args.number(0));
  if (it == object.ports.end()) return nullptr;
  CounterTotals c = it->second->counters();
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "open", makeNumber(env, double(c.open)));
  set(env, out, "opened", makeNumber(env, double(c.opened)));
  set(env, out, "refused", makeNumber(env, double(c.refused)));
  set(env, out, "bytesIn", makeNumber(env, double(c.in)));
  set(env, out, "bytesOut", makeNumber(env, double(c.out)));
  set(env, out, "sourceKept", makeNumber(env, double(c.sourceKept)));
  set(env, out, "sourceHidden", makeNumber(env, double(c.sourceHidden)));
  napi_value reasons = makeObject(env);
  for (size_t i = 0; i < kRefusals; i++) set(env, reasons, kRefusalNames[i], makeNumber(env, double(c.refusedBy[i])));
  set(env, out, "refusedBy", reasons);
  return out;
}
napi_value startBypass(EngineObject& object, napi_env, const Args& args) {
  // (fd, root, hostLoopback, outbound)
  ConnectPolicy policy{args.boolean(2), args.boolean(3)};
  object.bypass = std::make_unique<Bypass>(object, object.engine(),
                                           Bypass::Options{Fd(int(args.number(0))), pid_t(args.number(1)), policy});
  return nullptr;
}
napi_value bypassPorts(EngineObject& object, napi_env, const Args& args) {
  // (firstId, count, type, ips, firstChildPort)
  if (!object.bypass) return nullptr;
  for (uint32_t i = 0; i < args.number(1); i++) {
    object.bypass->addPort(args.number(0) + i, args.socketType(2), args.addresses(3, uint16_t(args.number(4) + i)));
  }
  return nullptr;
}
napi_value endBypass(EngineObject& object, napi_env, const Args& args) {
  if (object.bypass) object.bypass->removePort(args.number(0));
  return nullptr;
}
napi_value activatePort(EngineObject& object, napi_env env, const Args& args) {
  // (id) -> fd
  return makeNumber(env, object.bypass ? object.bypass->activate(args.number(0)).release() : -1);
}
napi_value bypassState(EngineObject& object, napi_env env, const Args& args) {
  Bypass::State state;
  if (object.bypass) state = object.bypass->state(args.number(0));
  napi_value out = makeObject(env);
  set(env, out, "bypassed", makeBoolean(env, state.bypassed));
  set(env, out, "unguarded", makeBoolean(env, state.unguarded));
  set(env, out, "reason", makeString(env, state.reason));
  return out;
}

}  // namespace

std::vector<napi_property_descriptor> portMethods() {
  return {
      method<addPorts>("addPorts"),         method<removePorts>("removePorts"), method<counters>("counters"),
      method<startBypass>("startBypass"),   method<bypassPorts>("bypassPorts"), method<endBypass>("endBypass"),
      method<activatePort>("activatePort"), method<bypassState>("bypassState"),
  };
}

}  // namespace rn
