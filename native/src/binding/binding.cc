// The addon's entry: what JavaScript sees of the native part. See ../index.ts for the types.
#include <node_api.h>

#include "binding/exports.h"
#include "binding/values.h"

namespace rn {

namespace {

napi_value init(napi_env env, napi_value exports) {
  defineEngine(env, exports);
  for (const auto& functions : {descriptorFunctions(), networkFunctions(), processFunctions()}) {
    for (const NamedFunction& f : functions) {
      napi_value value;
      napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.function, nullptr, &value);
      set(env, exports, f.name, value);
    }
  }
  return exports;
}

}  // namespace

}  // namespace rn

NAPI_MODULE(NODE_GYP_MODULE_NAME, rn::init)
