#pragma once

#include <node_api.h>

// onSignal(number, listener): JavaScript's process.on() knows signals by name, so none of the real-time ones, and keeps
// off those that a fault raises. A signal that is heard here is not obeyed; but a fault of our own, which raises its
// signal again at once, is.
napi_value onSignal(napi_env env, napi_callback_info info);
