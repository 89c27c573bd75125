// Methods of the JavaScript class Engine about the gateway namespace (outbound/gateway.h).
#include <algorithm>
#include <cstdio>
#include <sstream>

#include "binding/engine/engine_object.h"
#include "binding/exports.h"
#include "dns/message.h"

namespace rn {

namespace {

Mac macOf(const std::string& text) {
  Mac mac{};
  unsigned bytes[6] = {};
  int n = sscanf(text.c_str(), "%x:%x:%x:%x:%x:%x", &bytes[0], &bytes[1], &bytes[2], &bytes[3], &bytes[4], &bytes[5]);
  if (n == 6) std::copy(std::begin(bytes), std::end(bytes), mac.begin());
  return mac;
}

Destinations::Subnet subnetOf(const Args& args, const std::string& family) {
  Destinations::Subnet subnet;
  auto address = [&](const char* name, Address* out) { Address::parse(args.text(1, (name + family).c_str()), 0, out); };
  address("child", &subnet.child);
  address("gateway", &subnet.gateway);
  address("dns", &subnet.dns);
  subnet.prefix = uint8_t(args.numberAt(1, ("prefix" + family).c_str()));
  return subnet;
}

// Lines such as "tcp 5432 127.0.0.1 5432": protocol, port of the gateway, address of the host.
std::vector<Destinations::HostPort> hostPortsOf(const std::string& text) {
  std::vector<Destinations::HostPort> ports;
  std::istringstream lines(text);
  std::string protocol, ip;
  uint16_t port, hostPort;
  while (lines >> protocol >> port >> ip >> hostPort) {
    Destinations::HostPort one{uint8_t(protocol == "udp" ? IPPROTO_UDP : IPPROTO_TCP), port, {}};
    if (Address::parse(ip, hostPort, &one.address)) ports.push_back(one);
  }
  return ports;
}

napi_value openGateway(EngineObject& object, napi_env, const Args& args) {
  // (fds, {index, device, childMac, gatewayMac, hostLoopback, hostPorts, child4, gateway4, dns4, prefix4, … the same with
  // 6}, orders)
  GatewayOptions options;
  std::vector<Fd> fds = args.fds(0);
  fds.resize(6);
  Fd* places[] = {&options.packets, &options.out.socket, &options.tcp4, &options.udp4, &options.tcp6, &options.udp6};
  for (size_t i = 0; i < fds.size(); i++) *places[i] = std::move(fds[i]);
  options.out.device = int(args.numberAt(1, "index"));
  options.device = args.text(1, "device");
  std::vector<Fd> orders = args.fds(2);
  if (!orders.empty()) options.orders = std::move(orders.front());
  options.out.child = macOf(args.text(1, "childMac"));
  options.out.gateway = macOf(args.text(1, "gatewayMac"));
  options.destinations.v4 = subnetOf(args, "4");
  options.destinations.v6 = subnetOf(args, "6");
  options.destinations.hostPorts = hostPortsOf(args.text(1, "hostPorts"));
  options.destinations.hostLoopback = args.numberAt(1, "hostLoopback") != 0;
  options.out.own4 = options.destinations.v4.gateway;
  options.out.own6 = options.destinations.v6.gateway;
  object.engine().openGateway(std::move(options));
  return nullptr;
}

napi_value closeGateway(EngineObject& object, napi_env, const Args&) {
  object.engine().closeGateway();
  return nullptr;
}

napi_value setResolvers(EngineObject& object, napi_env, const Args& args) {
  object.engine().setResolvers(args.addresses(0, dns::kPort), args.strings(1));
  return nullptr;
}

napi_value setEgress(EngineObject& object, napi_env env, const Args& args) {
  // (policy, hostAddresses) -> boolean
  return makeBoolean(env, object.engine().setEgress(args.bytes(0), args.addresses(1, 0)));
}

napi_value makeCounters(napi_env env, const std::vector<RuleCounters>& all) {
  napi_value list;
  napi_create_array(env, &list);
  uint32_t i = 0;
  for (const RuleCounters& counters : all) {
    napi_value one = makeObject(env);
    set(env, one, "allowed", makeNumber(env, double(counters.allowed)));
    set(env, one, "denied", makeNumber(env, double(counters.denied)));
    set(env, one, "names", makeNumber(env, double(counters.names)));
    napi_set_element(env, list, i++, one);
  }
  return list;
}

napi_value learnEgress(EngineObject& object, napi_env env, const Args& args) {
  // (hostAddresses) -> boolean
  return makeBoolean(env, object.engine().learnEgress(args.addresses(0, 0)));
}

napi_value learnedRules(EngineObject& object, napi_env env, const Args& args) {
  // (known) -> {full, rules}
  constexpr const char* kProtocols[] = {"tcp", "udp", "icmp", "dns"};
  constexpr const char* kPlaces[] = {"name", "address", "host"};
  Engine::Learned learned = object.engine().learnedRules(args.number(0));
  napi_value all = makeObject(env), list;
  napi_create_array(env, &list);
  uint32_t i = 0;
  for (const LearnedRule& rule : learned.rules) {
    napi_value one = makeObject(env);
    set(env, one, "protocol", makeString(env, kProtocols[size_t(rule.protocol)]));
    set(env, one, "place", makeString(env, kPlaces[size_t(rule.place)]));
    set(env, one, "text", makeString(env, rule.text));
    set(env, one, "port", makeNumber(env, rule.port));
    napi_set_element(env, list, i++, one);
  }
  set(env, all, "full", makeBoolean(env, learned.full));
  set(env, all, "rules", list);
  return all;
}

napi_value egressCounters(EngineObject& object, napi_env env, const Args&) {
  return makeCounters(env, object.engine().egressCounters());
}

napi_value setSource(EngineObject& object, napi_env env, const Args& args) {
  // (id, addresses, policies) -> boolean
  return makeBoolean(env, object.engine().setSource(args.number(0), args.addresses(1, 0), args.buffers(2)));
}

napi_value removeSource(EngineObject& object, napi_env, const Args& args) {
  // (id)
  object.engine().removeSource(args.number(0));
  return nullptr;
}

napi_value limitSource(EngineObject& object, napi_env, const Args& args) {
  object.engine().limitSource(args.number(0), args.number(1));
  return nullptr;
}

napi_value setSourceHost(EngineObject& object, napi_env, const Args& args) {
  // (hostAddresses)
  object.engine().setSourceHost(args.addresses(0, 0));
  return nullptr;
}

napi_value sourceCounters(EngineObject& object, napi_env env, const Args& args) {
  // (id, policy)
  return makeCounters(env, object.engine().sourceCounters(args.number(0), args.number(1)));
}

}  // namespace

std::vector<napi_property_descriptor> gatewayMethods() {
  return {method<openGateway>("openGateway"),       method<closeGateway>("closeGateway"),
          method<setEgress>("setEgress"),           method<setResolvers>("setResolvers"),
          method<learnEgress>("learnEgress"),       method<learnedRules>("learnedRules"),
          method<setSource>("setSource"),           method<removeSource>("removeSource"),
          method<limitSource>("limitSource"),       method<setSourceHost>("setSourceHost"),
          method<sourceCounters>("sourceCounters"), method<egressCounters>("egressCounters")};
}

}  // namespace rn
