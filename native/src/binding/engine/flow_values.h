// Connections and flows as JavaScript objects.
#pragma once
#include <node_api.h>

#include "outbound/flow.h"

namespace rn {

// An OutboundFlow of native/index.ts.
napi_value makeFlow(napi_env env, const FlowReport& flow);

}  // namespace rn
