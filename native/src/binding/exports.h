// What the parts of the addon export to JavaScript; see ../index.ts for the types.
#pragma once
#include <node_api.h>
#include <vector>

namespace rn {

struct NamedFunction {
  const char* name;
  napi_callback function;
};

// Sets the class Engine on `exports`.
void defineEngine(napi_env env, napi_value exports);
std::vector<napi_property_descriptor> portMethods();
std::vector<napi_property_descriptor> flowMethods();
std::vector<napi_property_descriptor> gatewayMethods();
std::vector<napi_property_descriptor> nameMethods();

std::vector<NamedFunction> descriptorFunctions();
std::vector<NamedFunction> networkFunctions();
std::vector<NamedFunction> processFunctions();

// onSignal(number, listener): process.on() of JavaScript knows signals by name, so it has no real-time signals, and it
// excludes those that a fault raises. A signal that has a listener here loses its default action; but a fault of this
// process raises its signal again at once, and that one has it.
napi_value onSignal(napi_env env, napi_callback_info info);

}  // namespace rn
