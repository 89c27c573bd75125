// The JavaScript class Engine: its constructor, and its methods but those about ports (port_methods.cc),
// the gateway (gateway_methods.cc), names (name_methods.cc) and flows (flow_methods.cc).
#include <errno.h>
#include <fcntl.h>

#include "binding/engine/engine_object.h"
#include "binding/exports.h"

namespace rn {

namespace {

napi_value construct(napi_env env, napi_callback_info info) {
  Args args(env, info);
  // (congestion, onEvents, options)
  EngineOptions options;
  Timeouts& timeouts = options.timeouts;
  uint64_t oneHome = 0;
  options.congestion = args.string(0);
  args.override(2, "threads", &options.threads);
  args.override(2, "oneHome", &oneHome);
  options.oneHome = oneHome != 0;
  args.override(2, "halfClosedCheck", &timeouts.halfClosedCheck);
  args.override(2, "halfClosedProbe", &timeouts.halfClosedProbe);
  args.override(2, "halfClosedIdle", &timeouts.halfClosedIdle);
  args.override(2, "udpAnswered", &timeouts.udpAnswered);
  args.override(2, "udpUnanswered", &timeouts.udpUnanswered);
  args.override(2, "udpStream", &timeouts.udpStream);
  auto* object = new EngineObject(env, args.at(1), options);
  // Not deleted with the JavaScript object: the process has one engine, and close() ends it.
  napi_wrap(env, args.self(), object, nullptr, nullptr, nullptr);
  return args.self();
}

napi_value openChannel(EngineObject& object, napi_env, const Args& args) {
  object.engine().openChannel(args.number(0), Fd(int(args.number(1))));
  return nullptr;
}
napi_value closeChannel(EngineObject& object, napi_env, const Args& args) {
  object.engine().closeChannel(args.number(0));
  return nullptr;
}
napi_value send(EngineObject& object, napi_env, const Args& args) {
  object.engine().send(args.number(0), args.bytes(1), args.fds(2));
  return nullptr;
}
napi_value setAgent(EngineObject& object, napi_env, const Args& args) {
  object.engine().setAgent(args.number(0));
  return nullptr;
}
napi_value failWaiting(EngineObject& object, napi_env, const Args& args) {
  object.engine().failWaiting(EPIPE, args.string(0));
  return nullptr;
}
napi_value confineEngine(EngineObject& object, napi_env, const Args&) {
  object.engine().confine();
  return nullptr;
}
napi_value watchAddresses(EngineObject& object, napi_env, const Args& args) {
  object.engine().watchAddresses(args.boolean(0), args.string(1));
  return nullptr;
}
napi_value watchConnections(EngineObject& object, napi_env, const Args& args) {
  object.engine().watchConnections(args.boolean(0));
  return nullptr;
}
napi_value setLimit(EngineObject& object, napi_env, const Args& args) {
  // (number, {outgoing, incoming})
  object.engine().setLimit(args.number(0), args.largeNumberAt(1, "outgoing"), args.largeNumberAt(1, "incoming"));
  return nullptr;
}
napi_value limitPorts(EngineObject& object, napi_env, const Args& args) {
  // (first, count, number)
  object.engine().limitPorts(args.number(0), args.number(1), args.number(2));
  return nullptr;
}
napi_value datagramsDropped(EngineObject& object, napi_env env, const Args& args) {
  // (number) -> {outgoing, incoming}
  auto [outgoing, incoming] = object.engine().datagramsDropped(args.number(0));
  napi_value all = makeObject(env);
  set(env, all, "outgoing", makeNumber(env, double(outgoing)));
  set(env, all, "incoming", makeNumber(env, double(incoming)));
  return all;
}
napi_value serveConnects(EngineObject& object, napi_env, const Args& args) {
  object.engine().serveConnects(args.number(0));
  return nullptr;
}
napi_value setPlan(EngineObject& object, napi_env env, const Args& args) {
  std::string netns = args.string(3);
  Fd file;
  if (!netns.empty()) {
    file.reset(open(netns.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid()) return throwErrno(env, errno, "open");
  }
  object.engine().setPlan(args.bytes(0), args.addresses(1, 0), args.boolean(2), std::move(file));
  return nullptr;
}
napi_value setClient(EngineObject& object, napi_env, const Args& args) {
  // (target, ip, keep, mark)
  object.engine().setClient(args.bytes(0), args.string(1), args.boolean(2), args.number(3));
  return nullptr;
}
napi_value takeOverPaths(EngineObject& object, napi_env, const Args& args) {
  object.engine().takeOverPaths(args.number(0));
  return nullptr;
}
napi_value forgetPlan(EngineObject& object, napi_env, const Args& args) {
  object.engine().forgetPlan(args.bytes(0));
  return nullptr;
}
napi_value forgetPlans(EngineObject& object, napi_env, const Args&) {
  object.engine().forgetPlans();
  return nullptr;
}
napi_value closeEngine(EngineObject& object, napi_env, const Args&) {
  object.close();
  return nullptr;
}

}  // namespace

void defineEngine(napi_env env, napi_value exports) {
  std::vector<napi_property_descriptor> methods = {
      method<openChannel>("openChannel"),
      method<closeChannel>("closeChannel"),
      method<send>("send"),
      method<setAgent>("setAgent"),
      method<failWaiting>("failWaiting"),
      method<confineEngine>("confine"),
      method<watchAddresses>("watchAddresses"),
      method<watchConnections>("watchConnections"),
      method<setLimit>("setLimit"),
      method<limitPorts>("limitPorts"),
      method<datagramsDropped>("datagramsDropped"),
      method<serveConnects>("serveConnects"),
      method<setPlan>("setPlan"),
      method<setClient>("setClient"),
      method<takeOverPaths>("takeOverPaths"),
      method<forgetPlans>("forgetPlans"),
      method<forgetPlan>("forgetPlan"),
      method<closeEngine>("close"),
  };
  for (const auto& more : {portMethods(), gatewayMethods(), nameMethods(), flowMethods()})
    methods.insert(methods.end(), more.begin(), more.end());
  napi_value constructor;
  napi_define_class(env, "Engine", NAPI_AUTO_LENGTH, construct, nullptr, methods.size(), methods.data(), &constructor);
  set(env, exports, "Engine", constructor);
}

}  // namespace rn
