// Signals that JavaScript listens for, through libuv.
#include <node_api.h>
#include <uv.h>

#include "binding/exports.h"

namespace rn {

namespace {

struct Listener {
  uv_signal_t handle;
  napi_env env;
  napi_ref function;
};

void onSignalReceived(uv_signal_t* handle, int number) {
  auto* listener = static_cast<Listener*>(handle->data);
  napi_env env = listener->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value global, function, argument;
  napi_get_global(env, &global);
  napi_get_reference_value(env, listener->function, &function);
  napi_create_int32(env, number, &argument);
  napi_make_callback(env, nullptr, global, function, 1, &argument, nullptr);
  napi_close_handle_scope(env, scope);
  // One shot at a time: while this waits for its turn in the loop, the default applies.
  uv_signal_start_oneshot(handle, onSignalReceived, number);
}

}  // namespace

napi_value onSignal(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value arguments[2];
  int32_t number = 0;
  uv_loop_t* loop = nullptr;
  napi_get_cb_info(env, info, &count, arguments, nullptr, nullptr);
  napi_get_value_int32(env, arguments[0], &number);
  napi_get_uv_event_loop(env, &loop);

  // For as long as the process lives.
  auto* listener = new Listener{};
  listener->env = env;
  listener->handle.data = listener;
  napi_create_reference(env, arguments[1], 1, &listener->function);
  uv_signal_init(loop, &listener->handle);
  int error = uv_signal_start_oneshot(&listener->handle, onSignalReceived, number);
  uv_unref(reinterpret_cast<uv_handle_t*>(&listener->handle));
  if (error != 0) napi_throw_error(env, uv_err_name(error), uv_strerror(error));
  return nullptr;
}

}  // namespace rn
