// Methods of the JavaScript class Engine about the DNS servers of container networks (dns/server/servers.h).
#include <errno.h>
#include <fcntl.h>
#include <memory>

#include "binding/engine/engine_object.h"
#include "binding/exports.h"
#include "dns/message.h"

namespace rn {

namespace {

napi_value openNameServer(EngineObject& object, napi_env env, const Args& args) {
  // (network, gateways, port, zone) -> "" or what prevents it
  std::string problem;
  std::vector<Address> gateways = args.addresses(1, uint16_t(args.number(2)));
  dns::Zone zone(args.string(3));
  object.engine().withNameServers(
      [&](dns::Servers& servers) { problem = servers.open(args.number(0), gateways, std::move(zone)); });
  return makeString(env, problem);
}

napi_value adoptNameServer(EngineObject& object, napi_env, const Args& args) {
  // (network, datagrams, connections, zone)
  auto datagrams = std::make_shared<Fd>(int(args.number(1)));
  auto connections = std::make_shared<Fd>(int(args.number(2)));
  auto zone = std::make_shared<dns::Zone>(args.string(3));
  object.engine().withNameServers([&](dns::Servers& servers) {
    servers.adopt(args.number(0), std::move(*datagrams), std::move(*connections), std::move(*zone));
  });
  return nullptr;
}

napi_value setOwnNames(EngineObject& object, napi_env, const Args& args) {
  object.engine().setOwnNames(dns::Zone(args.string(0)));
  return nullptr;
}

napi_value watchQueries(EngineObject& object, napi_env, const Args& args) {
  object.engine().watchQueries(args.boolean(0));
  return nullptr;
}

napi_value closeNameServer(EngineObject& object, napi_env, const Args& args) {
  object.engine().withNameServers([&](dns::Servers& servers) { servers.close(args.number(0)); });
  return nullptr;
}

napi_value nameServersSettled(EngineObject& object, napi_env, const Args&) {
  object.engine().withNameServers([](dns::Servers& servers) { servers.settled(); });
  return nullptr;
}

napi_value setZone(EngineObject& object, napi_env, const Args& args) {
  // (network, text). Read here, so that no query waits for it.
  dns::Zone zone(args.string(1));
  object.engine().withNameServers([&](dns::Servers& servers) { servers.setZone(args.number(0), std::move(zone)); });
  return nullptr;
}

napi_value setNameClient(EngineObject& object, napi_env env, const Args& args) {
  // (address, networks, outside, servers, netns)
  Address address;
  if (!Address::parse(args.string(0), 0, &address)) return nullptr;
  dns::Servers::Client client;
  client.networks = args.numbers(1);
  client.outside = args.boolean(2);
  client.servers = args.addresses(3, dns::kPort);
  if (!client.servers.empty()) {
    client.netns = std::make_shared<Fd>(open(args.string(4).c_str(), O_RDONLY | O_CLOEXEC));
    if (!client.netns->valid()) return throwErrno(env, errno, "open");
  }
  object.engine().withNameServers([&](dns::Servers& servers) { servers.setClient(address, std::move(client)); });
  return nullptr;
}

napi_value removeNameClient(EngineObject& object, napi_env, const Args& args) {
  Address address;
  if (!Address::parse(args.string(0), 0, &address)) return nullptr;
  object.engine().withNameServers([&](dns::Servers& servers) { servers.removeClient(address); });
  return nullptr;
}

napi_value nameCounters(EngineObject& object, napi_env env, const Args& args) {
  dns::Servers::Counters counters;
  object.engine().withNameServers([&](dns::Servers& servers) { counters = servers.counters(args.number(0)); });
  napi_value list;
  napi_create_array_with_length(env, dns::kOrigins, &list);
  for (uint32_t i = 0; i < dns::kOrigins; i++) {
    napi_set_element(env, list, i, makeNumber(env, double(counters.from[i])));
  }
  return list;
}

napi_value askName(EngineObject& object, napi_env, const Args& args) {
  // (id, network, query, client)
  Address client;
  if (Address::parse(args.string(3), 0, &client)) {
    object.engine().askName(args.number(0), args.number(1), args.bytes(2), client);
  }
  return nullptr;
}

}  // namespace

std::vector<napi_property_descriptor> nameMethods() {
  return {method<openNameServer>("openNameServer"),
          method<adoptNameServer>("adoptNameServer"),
          method<setOwnNames>("setOwnNames"),
          method<watchQueries>("watchQueries"),
          method<closeNameServer>("closeNameServer"),
          method<nameServersSettled>("nameServersSettled"),
          method<setZone>("setZone"),
          method<setNameClient>("setNameClient"),
          method<removeNameClient>("removeNameClient"),
          method<nameCounters>("nameCounters"),
          method<askName>("askName")};
}

}  // namespace rn
