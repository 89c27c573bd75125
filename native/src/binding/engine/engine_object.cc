#include "binding/engine/engine_object.h"

#include <utility>

#include "binding/engine/flow_values.h"

namespace rn {

namespace {

const char* nameOf(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::message: return "message";
    case Event::Kind::channelClosed: return "channel-closed";
    case Event::Kind::planWanted: return "plan-wanted";
    case Event::Kind::clientWanted: return "client-wanted";
    case Event::Kind::portClosed: return "port-closed";
    case Event::Kind::bypassEnded: return "bypass-ended";
    case Event::Kind::portState: return "port-state";
    case Event::Kind::connectionOpened: return "connection-opened";
    case Event::Kind::connectionRefused: return "connection-refused";
    case Event::Kind::connectionClosed: return "connection-closed";
    case Event::Kind::outboundOpened: return "outbound-opened";
    case Event::Kind::outboundClosed: return "outbound-closed";
    case Event::Kind::addressesChanged: return "addresses-changed";
    case Event::Kind::egressDenied: return "egress-denied";
    case Event::Kind::dnsAnswer: return "dns-answer";
    case Event::Kind::dnsQuery: return "dns-query";
    case Event::Kind::log: return "log";
  }
  return "";
}

// Events that are only reported. All others are waited for, and bounded by what was requested.
bool isReport(Event::Kind kind) {
  return kind == Event::Kind::log || kind == Event::Kind::connectionOpened || kind == Event::Kind::connectionRefused ||
         kind == Event::Kind::connectionClosed || kind == Event::Kind::outboundOpened ||
         kind == Event::Kind::outboundClosed || kind == Event::Kind::dnsQuery;
}

napi_value convert(napi_env env, const Event& event) {
  napi_value object = makeObject(env);
  set(env, object, "type", makeString(env, nameOf(event.kind)));
  switch (event.kind) {
    case Event::Kind::message: {
      set(env, object, "channel", makeNumber(env, event.id));
      set(env, object, "data", makeBuffer(env, event.data));
      set(env, object, "fds", makeArray(env, event.fds));
      break;
    }
    case Event::Kind::channelClosed:
      set(env, object, "channel", makeNumber(env, event.id));
      set(env, object, "reason", makeString(env, event.text));
      break;
    case Event::Kind::planWanted: set(env, object, "target", makeBuffer(env, event.data)); break;
    case Event::Kind::clientWanted:
      set(env, object, "target", makeBuffer(env, event.data));
      set(env, object, "ip", makeString(env, event.text));
      break;
    case Event::Kind::portClosed:
    case Event::Kind::bypassEnded: set(env, object, "port", makeNumber(env, event.id)); break;
    case Event::Kind::portState:
      set(env, object, "port", makeNumber(env, event.id));
      set(env, object, "reason", makeString(env, event.text));
      break;
    case Event::Kind::addressesChanged: break;
    case Event::Kind::outboundOpened:
    case Event::Kind::outboundClosed: set(env, object, "flow", makeFlow(env, *event.flow)); break;
    case Event::Kind::egressDenied: {
      size_t end = event.data.find('\n');
      set(env, object, "protocol", makeNumber(env, event.id));
      set(env, object, "rule", makeNumber(env, double(int64_t(event.connection))));
      set(env, object, "policy", makeNumber(env, double(event.in)));
      set(env, object, "client", makeString(env, event.text));
      set(env, object, "destination", makeString(env, event.data.substr(0, end)));
      set(env, object, "reason", makeString(env, event.data.substr(end + 1)));
      break;
    }
    case Event::Kind::dnsAnswer:
      set(env, object, "id", makeNumber(env, event.id));
      set(env, object, "data", makeBuffer(env, event.data));
      set(env, object, "from", makeNumber(env, double(event.connection)));
      break;
    case Event::Kind::dnsQuery:
      set(env, object, "network", makeNumber(env, event.id));
      set(env, object, "client", makeString(env, event.text));
      set(env, object, "name", makeString(env, event.data));
      set(env, object, "record", makeNumber(env, double(event.in)));
      set(env, object, "from", makeNumber(env, double(event.connection)));
      set(env, object, "ms", makeNumber(env, double(event.out)));
      set(env, object, "missed", makeNumber(env, double(event.missed)));
      break;
    case Event::Kind::log: set(env, object, "text", makeString(env, event.text)); break;
    case Event::Kind::connectionOpened:
    case Event::Kind::connectionRefused:
    case Event::Kind::connectionClosed:
      set(env, object, "port", makeNumber(env, event.id));
      set(env, object, "connection", makeNumber(env, double(event.connection)));
      set(env, object, "client", makeString(env, event.text));
      set(env, object, "reason", makeString(env, event.data));
      set(env, object, "bytesIn", makeNumber(env, double(event.in)));
      set(env, object, "bytesOut", makeNumber(env, double(event.out)));
      break;
  }
  return object;
}

}  // namespace

EngineObject::EngineObject(napi_env env, napi_value onEvents, const EngineOptions& options) {
  napi_create_threadsafe_function(env, onEvents, nullptr, makeString(env, "rootless-net engine"), 0, 1, nullptr,
                                  nullptr, this, deliver, &function_);
  engine_ = std::make_unique<Engine>(*this, options);
}

void EngineObject::emit(Event event) {
  std::lock_guard<std::mutex> lock(mutex_);
  bool first = queue_.empty();
  if (queue_.size() >= kMaxQueued && isReport(event.kind)) {
    dropped_++;
    return;
  }
  queue_.push_back(std::move(event));
  if (first && !closed_) napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
}

void EngineObject::close() {
  if (!engine_) return;
  bypass.reset();
  engine_->stop();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
  }
  engine_.reset();
  ports.clear();
  napi_release_threadsafe_function(function_, napi_tsfn_abort);
}

void EngineObject::deliver(napi_env env, napi_value callback, void* context, void*) {
  auto* self = static_cast<EngineObject*>(context);
  std::vector<Event> events;
  uint64_t dropped;
  {
    std::lock_guard<std::mutex> lock(self->mutex_);
    events.swap(self->queue_);
    dropped = std::exchange(self->dropped_, 0);
  }
  if (env == nullptr || events.empty()) return;
  if (dropped > 0) {
    Event event{Event::Kind::log};
    event.text = std::to_string(dropped) + " events were dropped: they arrived faster than they were handled";
    events.push_back(std::move(event));
  }
  napi_value array;
  napi_create_array_with_length(env, events.size(), &array);
  for (size_t i = 0; i < events.size(); i++) napi_set_element(env, array, uint32_t(i), convert(env, events[i]));
  napi_value global, result;
  napi_get_global(env, &global);
  if (napi_call_function(env, global, callback, 1, &array, &result) == napi_pending_exception) {
    napi_value exception;
    napi_get_and_clear_last_exception(env, &exception);
    napi_fatal_exception(env, exception);
  }
  // The callback may have closed the engine.
  for (const Event& event : events) {
    if (event.unread && self->engine_) self->engine_->handled(event.unread, event.data.size());
  }
}

}  // namespace rn
