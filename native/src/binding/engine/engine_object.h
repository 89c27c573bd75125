// The engine as a JavaScript object: owns the engine, and carries its events from the engine's threads to JavaScript.
#pragma once
#include <node_api.h>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "binding/values.h"
#include "bypass/bypass.h"
#include "engine/engine.h"

namespace rn {

class EngineObject : public EventSink {
 public:
  // `onEvents` is called with an array of all events that have come up since the last call.
  EngineObject(napi_env env, napi_value onEvents, const EngineOptions& options);

  Engine& engine() { return *engine_; }
  bool isOpen() const { return engine_ != nullptr; }
  void emit(Event event) override;
  // Stops the engine's threads; no event is delivered afterwards.
  void close();

  std::unordered_map<uint32_t, std::shared_ptr<Port>> ports;
  // Uses the engine, and so ends before it.
  std::unique_ptr<Bypass> bypass;

 private:
  static constexpr size_t kMaxQueued = 65536;

  static void deliver(napi_env env, napi_value callback, void* context, void*);

  std::unique_ptr<Engine> engine_;
  napi_threadsafe_function function_ = nullptr;
  std::mutex mutex_;
  std::vector<Event> queue_;
  uint64_t dropped_ = 0;
  bool closed_ = false;
};

using EngineMethod = napi_value (*)(EngineObject&, napi_env, const Args&);

// A method of the JavaScript class that calls `F(object, env, args)` and returns its result; null counts as undefined.
// Throws ERR_CLOSED on a closed engine.
template <EngineMethod F>
napi_value callMethod(napi_env env, napi_callback_info info) {
  Args args(env, info);
  void* wrapped = nullptr;
  napi_unwrap(env, args.self(), &wrapped);
  auto* object = static_cast<EngineObject*>(wrapped);
  if (object == nullptr || !object->isOpen()) {
    napi_throw_error(env, "ERR_CLOSED", "the engine is closed");
    return nullptr;
  }
  napi_value result = F(*object, env, args);
  return result != nullptr ? result : undefined(env);
}

template <EngineMethod F>
constexpr napi_property_descriptor method(const char* name) {
  return {name, nullptr, callMethod<F>, nullptr, nullptr, nullptr, napi_default, nullptr};
}

}  // namespace rn
