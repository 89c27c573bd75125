// Methods of the JavaScript class Engine that list connections and flows.
#include "binding/engine/engine_object.h"
#include "binding/engine/flow_values.h"
#include "binding/exports.h"

namespace rn {

namespace {

const char* protocolName(uint8_t protocol) { return protocol == IPPROTO_UDP ? "udp" : "tcp"; }

const char* stateName(FlowState state) {
  switch (state) {
    case FlowState::connecting: return "connecting";
    case FlowState::halfClosed: return "half-closed";
    case FlowState::unanswered: return "unanswered";
    default: return "open";
  }
}

const char* sourceName(SourceSeen source) {
  return source == SourceSeen::kept ? "client" : source == SourceSeen::hidden ? "agent" : "";
}

napi_value makePortFlow(napi_env env, const PortFlow& flow) {
  napi_value one = makeObject(env);
  set(env, one, "port", makeNumber(env, flow.port));
  set(env, one, "protocol", makeString(env, protocolName(flow.protocol)));
  set(env, one, "connection", makeNumber(env, double(flow.connection)));
  set(env, one, "client", makeString(env, flow.client.text()));
  set(env, one, "bytesIn", makeNumber(env, double(flow.in)));
  set(env, one, "bytesOut", makeNumber(env, double(flow.out)));
  set(env, one, "age", makeNumber(env, double(flow.age)));
  set(env, one, "state", makeString(env, stateName(flow.state)));
  set(env, one, "source", makeString(env, sourceName(flow.source)));
  return one;
}

// Of the first ones, up to the number that is the first argument.
template <typename Flow>
napi_value makeList(napi_env env, const Args& args, const std::vector<Flow>& flows,
                    napi_value (*make)(napi_env, const Flow&)) {
  napi_value list;
  napi_create_array(env, &list);
  for (uint32_t i = 0; i < flows.size() && i < args.number(0); i++) napi_set_element(env, list, i, make(env, flows[i]));
  return list;
}

napi_value outboundFlows(EngineObject& object, napi_env env, const Args& args) {
  return makeList(env, args, object.engine().outboundFlows(), makeFlow);
}

napi_value portFlows(EngineObject& object, napi_env env, const Args& args) {
  return makeList(env, args, object.engine().portFlows(), makePortFlow);
}

}  // namespace

napi_value makeFlow(napi_env env, const FlowReport& flow) {
  napi_value one = makeObject(env);
  set(env, one, "connection", makeNumber(env, double(flow.connection)));
  set(env, one, "protocol", makeString(env, protocolName(flow.protocol)));
  set(env, one, "client", makeString(env, flow.client.text()));
  set(env, one, "destination", makeString(env, flow.destination.text()));
  set(env, one, "host", makeString(env, flow.host.text()));
  set(env, one, "name", makeString(env, flow.name));
  set(env, one, "bytesSent", makeNumber(env, double(flow.sent)));
  set(env, one, "bytesReceived", makeNumber(env, double(flow.received)));
  set(env, one, "age", makeNumber(env, double(flow.age)));
  set(env, one, "state", makeString(env, stateName(flow.state)));
  return one;
}

std::vector<napi_property_descriptor> flowMethods() {
  return {method<outboundFlows>("outboundFlows"), method<portFlows>("portFlows")};
}

}  // namespace rn
