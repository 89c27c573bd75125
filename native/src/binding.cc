// The engine's face to JavaScript. Thin: converts arguments, calls, converts results. See ../index.ts for the types.
#include <errno.h>
#include <fcntl.h>
#include <node_api.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "bypass.h"
#include "engine.h"
#include "local_address.h"
#include "netlink.h"
#include "service_manager.h"
#include "signals.h"
#include "sockets.h"

namespace {

// --- values ---------------------------------------------------------------------------------------------------------

napi_value makeString(napi_env env, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

napi_value makeNumber(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

napi_value makeBuffer(napi_env env, const std::string& data) {
  napi_value value;
  napi_create_buffer_copy(env, data.size(), data.data(), nullptr, &value);
  return value;
}

void set(napi_env env, napi_value object, const char* name, napi_value value) {
  napi_set_named_property(env, object, name, value);
}

napi_value undefined(napi_env env) {
  napi_value value;
  napi_get_undefined(env, &value);
  return value;
}

// Throws an Error with `code` (ENOENT …), `errno` and `syscall`, as node's own do.
napi_value throwErrno(napi_env env, int error, const char* call) {
  const char* code = strerrorname_np(error);
  napi_value object;
  napi_create_error(env, makeString(env, code ? code : "UNKNOWN"),
                    makeString(env, std::string(call) + ": " + strerror(error)), &object);
  set(env, object, "errno", makeNumber(env, error));
  set(env, object, "syscall", makeString(env, call));
  napi_throw(env, object);
  return nullptr;
}

// The arguments of a call. A wrong type gives an empty value: callers are our own, typed modules.
class Args {
 public:
  Args(napi_env env, napi_callback_info info) : env_(env) {
    size_t count = kMax;
    napi_get_cb_info(env, info, &count, values_, &self_, nullptr);
  }
  napi_value self() const { return self_; }
  napi_value at(int i) const { return values_[i]; }
  uint32_t number(int i) const { return numberOf(values_[i]); }
  bool boolean(int i) const {
    bool value = false;
    napi_get_value_bool(env_, values_[i], &value);
    return value;
  }
  std::string string(int i) const { return stringOf(values_[i]); }
  std::string bytes(int i) const {
    void* data = nullptr;
    size_t length = 0;
    bool isBuffer = false;
    napi_is_buffer(env_, values_[i], &isBuffer);
    if (!isBuffer) return "";
    napi_get_buffer_info(env_, values_[i], &data, &length);
    return std::string(static_cast<char*>(data), length);
  }
  std::vector<Fd> fds(int i) const {
    std::vector<Fd> out;
    each(values_[i], [&](napi_value v) { out.emplace_back(int(numberOf(v))); });
    return out;
  }
  template <typename F>
  void each(napi_value array, F callback) const {
    bool isArray = false;
    napi_is_array(env_, array, &isArray);
    if (!isArray) return;
    uint32_t length = 0;
    napi_get_array_length(env_, array, &length);
    for (uint32_t k = 0; k < length; k++) {
      napi_value v;
      napi_get_element(env_, array, k, &v);
      callback(v);
    }
  }
  // Of objects with `ip` and `port`.
  std::vector<Address> addresses(int i) const {
    std::vector<Address> out;
    each(values_[i], [&](napi_value entry) {
      Address address;
      if (Address::parse(stringOf(property(entry, "ip")), uint16_t(numberOf(property(entry, "port"))), &address)) {
        out.push_back(address);
      }
    });
    return out;
  }
  napi_value property(napi_value object, const char* name) const {
    napi_value v;
    napi_get_named_property(env_, object, name, &v);
    return v;
  }
  uint32_t numberOf(napi_value v) const {
    double value = 0;
    napi_get_value_double(env_, v, &value);
    return uint32_t(value);
  }
  std::string stringOf(napi_value v) const {
    size_t length = 0;
    if (napi_get_value_string_utf8(env_, v, nullptr, 0, &length) != napi_ok) return "";
    std::string out(length, '\0');
    napi_get_value_string_utf8(env_, v, out.data(), length + 1, &length);
    return out;
  }

 private:
  static constexpr size_t kMax = 8;
  napi_env env_;
  napi_value self_ = nullptr;
  napi_value values_[kMax] = {};
};

// --- the engine object ----------------------------------------------------------------------------------------------

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
    case Event::Kind::log: return "log";
  }
  return "";
}

// Carries events from the engine's thread to JavaScript, all that have come up in one call.
class EngineObject : public EventSink {
 public:
  EngineObject(napi_env env, napi_value onEvents, std::string congestion) {
    napi_create_threadsafe_function(env, onEvents, nullptr, makeString(env, "rootless-net engine"), 0, 1, nullptr,
                                    nullptr, this, deliver, &function_);
    engine_ = std::make_unique<Engine>(*this, std::move(congestion));
  }

  Engine& engine() { return *engine_; }
  std::unordered_map<uint32_t, std::shared_ptr<Port>> ports;
  // It asks the engine, and so ends before.
  std::unique_ptr<Bypass> bypass;

  void emit(Event event) override {
    std::lock_guard<std::mutex> lock(mutex_);
    bool first = queue_.empty();
    queue_.push_back(std::move(event));
    if (first && !closed_) napi_call_threadsafe_function(function_, nullptr, napi_tsfn_nonblocking);
  }

  void close() {
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
  bool open() const { return engine_ != nullptr; }

 private:
  static void deliver(napi_env env, napi_value callback, void* context, void*) {
    auto* self = static_cast<EngineObject*>(context);
    std::vector<Event> events;
    {
      std::lock_guard<std::mutex> lock(self->mutex_);
      events.swap(self->queue_);
    }
    if (env == nullptr || events.empty()) return;
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
  }

  static napi_value convert(napi_env env, const Event& event) {
    napi_value object;
    napi_create_object(env, &object);
    set(env, object, "type", makeString(env, nameOf(event.kind)));
    switch (event.kind) {
      case Event::Kind::message: {
        set(env, object, "channel", makeNumber(env, event.id));
        set(env, object, "data", makeBuffer(env, event.data));
        napi_value fds;
        napi_create_array_with_length(env, event.fds.size(), &fds);
        for (size_t i = 0; i < event.fds.size(); i++) {
          napi_set_element(env, fds, uint32_t(i), makeNumber(env, event.fds[i]));
        }
        set(env, object, "fds", fds);
        break;
      }
      case Event::Kind::channelClosed:
        set(env, object, "channel", makeNumber(env, event.id));
        set(env, object, "reason", makeString(env, event.text));
        break;
      case Event::Kind::planWanted:
        set(env, object, "target", makeBuffer(env, event.data));
        break;
      case Event::Kind::clientWanted:
        set(env, object, "target", makeBuffer(env, event.data));
        set(env, object, "ip", makeString(env, event.text));
        break;
      case Event::Kind::portClosed:
      case Event::Kind::bypassEnded:
        set(env, object, "port", makeNumber(env, event.id));
        break;
      case Event::Kind::portState:
        set(env, object, "port", makeNumber(env, event.id));
        set(env, object, "reason", makeString(env, event.text));
        break;
      case Event::Kind::log:
        set(env, object, "text", makeString(env, event.text));
        break;
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

  std::unique_ptr<Engine> engine_;
  napi_threadsafe_function function_ = nullptr;
  std::mutex mutex_;
  std::vector<Event> queue_;
  bool closed_ = false;
};

napi_value construct(napi_env env, napi_callback_info info) {
  Args args(env, info);
  auto* object = new EngineObject(env, args.at(1), args.string(0));
  // Not deleted with the JavaScript object: the process has one engine, and close() ends it.
  napi_wrap(env, args.self(), object, nullptr, nullptr, nullptr);
  return args.self();
}

EngineObject* unwrap(napi_env env, const Args& args) {
  void* object = nullptr;
  napi_unwrap(env, args.self(), &object);
  auto* engine = static_cast<EngineObject*>(object);
  if (engine != nullptr && engine->open()) return engine;
  napi_throw_error(env, "ERR_CLOSED", "the engine is closed");
  return nullptr;
}

// A method that calls `F(EngineObject&, env, args)` and returns what it returns, or undefined.
template <napi_value (*F)(EngineObject&, napi_env, const Args&)>
napi_value method(napi_env env, napi_callback_info info) {
  Args args(env, info);
  EngineObject* object = unwrap(env, args);
  if (object == nullptr) return nullptr;
  napi_value result = F(*object, env, args);
  return result != nullptr ? result : undefined(env);
}

napi_value openChannel(EngineObject& object, napi_env, const Args& args) {
  object.engine().openChannel(args.number(0), Fd(int(args.number(1))));
  return nullptr;
}
napi_value closeChannel(EngineObject& object, napi_env, const Args& args) {
  object.engine().closeChannel(args.number(0));
  return nullptr;
}
napi_value send(EngineObject& object, napi_env, const Args& args) {
  object.engine().send(args.number(0), args.bytes(1), args.fds(2));
  return nullptr;
}
napi_value setAgent(EngineObject& object, napi_env, const Args& args) {
  object.engine().setAgent(args.number(0));
  return nullptr;
}
napi_value failWaiting(EngineObject& object, napi_env, const Args& args) {
  object.engine().failWaiting(ECONNREFUSED, args.string(0));
  return nullptr;
}
napi_value addPort(EngineObject& object, napi_env, const Args& args) {
  // (id, type, fds, childPort, target, proxyProtocol)
  PortOptions options;
  options.id = args.number(0);
  options.target.type = args.string(1) == "udp" ? SOCK_DGRAM : SOCK_STREAM;
  options.listeners = args.fds(2);
  options.target.port = uint16_t(args.number(3));
  options.target.request = args.bytes(4);
  options.proxyProtocol = int(args.number(5));
  object.ports[options.id] = object.engine().addPort(std::move(options));
  return nullptr;
}
napi_value removePort(EngineObject& object, napi_env, const Args& args) {
  object.engine().removePort(args.number(0));
  object.ports.erase(args.number(0));
  return nullptr;
}
napi_value counters(EngineObject& object, napi_env env, const Args& args) {
  auto it = object.ports.find(args.number(0));
  if (it == object.ports.end()) return nullptr;
  Counters& c = it->second->counters();
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "open", makeNumber(env, double(c.open.load())));
  set(env, out, "opened", makeNumber(env, double(c.opened.load())));
  set(env, out, "refused", makeNumber(env, double(c.refused.load())));
  set(env, out, "bytesIn", makeNumber(env, double(c.in.load())));
  set(env, out, "bytesOut", makeNumber(env, double(c.out.load())));
  set(env, out, "sourceKept", makeNumber(env, double(c.sourceKept.load())));
  set(env, out, "sourceHidden", makeNumber(env, double(c.sourceHidden.load())));
  return out;
}
napi_value watchConnections(EngineObject& object, napi_env, const Args& args) {
  object.engine().watchConnections(args.boolean(0));
  return nullptr;
}
napi_value startBypass(EngineObject& object, napi_env, const Args& args) {
  // (fd, root, hostLoopback, outbound)
  ConnectPolicy policy{args.boolean(2), args.boolean(3)};
  object.bypass = std::make_unique<Bypass>(object, object.engine(), Fd(int(args.number(0))), pid_t(args.number(1)), policy);
  return nullptr;
}
napi_value bypassPort(EngineObject& object, napi_env, const Args& args) {
  // (id, type, addresses)
  if (object.bypass) {
    object.bypass->addPort(args.number(0), args.string(1) == "udp" ? SOCK_DGRAM : SOCK_STREAM, args.addresses(2));
  }
  return nullptr;
}
napi_value endBypass(EngineObject& object, napi_env, const Args& args) {
  if (object.bypass) object.bypass->removePort(args.number(0));
  return nullptr;
}
napi_value activatePort(EngineObject& object, napi_env env, const Args& args) {
  // (id) -> fd
  return makeNumber(env, object.bypass ? object.bypass->activate(args.number(0)).release() : -1);
}
napi_value bypassState(EngineObject& object, napi_env env, const Args& args) {
  Bypass::State state;
  if (object.bypass) state = object.bypass->state(args.number(0));
  napi_value out, bypassed;
  napi_create_object(env, &out);
  napi_get_boolean(env, state.bypassed, &bypassed);
  set(env, out, "bypassed", bypassed);
  set(env, out, "reason", makeString(env, state.reason));
  return out;
}
napi_value serveConnects(EngineObject& object, napi_env, const Args& args) {
  object.engine().serveConnects(args.number(0));
  return nullptr;
}
napi_value setPlan(EngineObject& object, napi_env, const Args& args) {
  object.engine().setPlan(args.bytes(0), args.addresses(1), args.boolean(2));
  return nullptr;
}
napi_value setClient(EngineObject& object, napi_env, const Args& args) {
  // (target, ip, keep)
  object.engine().setClient(args.bytes(0), args.string(1), args.boolean(2));
  return nullptr;
}
napi_value forgetPlan(EngineObject& object, napi_env, const Args& args) {
  object.engine().forgetPlan(args.bytes(0));
  return nullptr;
}
napi_value forgetClients(EngineObject& object, napi_env, const Args&) {
  object.engine().forgetClients();
  return nullptr;
}
napi_value forgetPlans(EngineObject& object, napi_env, const Args&) {
  object.engine().forgetPlans();
  return nullptr;
}
napi_value closeEngine(EngineObject& object, napi_env, const Args&) {
  object.close();
  return nullptr;
}

// --- functions ------------------------------------------------------------------------------------------------------

napi_value makeSocketpair(napi_env env, napi_callback_info) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return throwErrno(env, errno, "socketpair");
  napi_value pair;
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, makeNumber(env, fds[0]));
  napi_set_element(env, pair, 1, makeNumber(env, fds[1]));
  return pair;
}

napi_value listenOn(napi_env env, napi_callback_info info) {
  // (ip, port, type, dual)
  Args args(env, info);
  Address address;
  if (!Address::parse(args.string(0), uint16_t(args.number(1)), &address)) return throwErrno(env, EINVAL, "parse");
  sockets::ListenResult result =
      sockets::listenOn(address, args.string(2) == "udp" ? SOCK_DGRAM : SOCK_STREAM, args.boolean(3));
  if (result.error != 0) return throwErrno(env, result.error, result.call);
  Address bound;
  bound.length = sizeof bound.v6;
  getsockname(result.fd.get(), &bound.sa, &bound.length);
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "fd", makeNumber(env, result.fd.release()));
  set(env, out, "port", makeNumber(env, bound.port()));
  return out;
}

napi_value sendDatagram(napi_env env, napi_callback_info info) {
  // (path, text)
  Args args(env, info);
  int error = service_manager::sendDatagram(args.string(0), args.string(1));
  return error != 0 ? throwErrno(env, error, "sendto") : undefined(env);
}

napi_value takeSocket(napi_env env, napi_callback_info info) {
  // (fd)
  Args args(env, info);
  service_manager::Socket socket;
  int error = service_manager::takeSocket(int(args.number(0)), &socket);
  if (error != 0) return throwErrno(env, error, "getsockopt");
  napi_value out;
  napi_create_object(env, &out);
  set(env, out, "type", makeString(env, socket.type == SOCK_DGRAM ? "udp" : "tcp"));
  set(env, out, "ip", makeString(env, socket.address.ip()));
  set(env, out, "port", makeNumber(env, socket.address.port()));
  napi_value dual;
  napi_get_boolean(env, socket.dual, &dual);
  set(env, out, "dual", dual);
  return out;
}

napi_value closeFd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Fd(int(args.number(0)));
  return undefined(env);
}

napi_value lockFile(napi_env env, napi_callback_info info) {
  // (fd, exclusive) -> whether it was got
  Args args(env, info);
  bool got = flock(int(args.number(0)), (args.boolean(1) ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
  if (!got && errno != EWOULDBLOCK) return throwErrno(env, errno, "flock");
  napi_value value;
  napi_get_boolean(env, got, &value);
  return value;
}

napi_value setTerminalSize(napi_env env, napi_callback_info info) {
  // (path, columns, rows)
  Args args(env, info);
  // Not to become ours, and not to wait: it may be anything by now.
  Fd fd(open(args.string(0).c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  winsize size{};
  size.ws_col = static_cast<unsigned short>(args.number(1));
  size.ws_row = static_cast<unsigned short>(args.number(2));
  if (!fd.valid() || ioctl(fd.get(), TIOCSWINSZ, &size) != 0) return throwErrno(env, errno, "TIOCSWINSZ");
  return undefined(env);
}

napi_value addLoopbackAddressOf(napi_env env, napi_callback_info info) {
  // (ip): IPv4
  Args args(env, info);
  int error = addLoopbackAddress(args.string(0));
  return error != 0 && error != EEXIST ? throwErrno(env, error, "RTM_NEWADDR") : undefined(env);
}

napi_value openNetlink(napi_env env, napi_callback_info info) {
  // (protocol, netns) -> fd
  Args args(env, info);
  int fd = -1;
  int error = netlink::open(int(args.number(0)), args.string(1), &fd);
  return error != 0 ? throwErrno(env, error, "netlink") : makeNumber(env, fd);
}

napi_value netlinkExchange(napi_env env, napi_callback_info info) {
  // (fd, messages, acknowledgements) -> answers
  Args args(env, info);
  std::string answers;
  int error = netlink::exchange(int(args.number(0)), args.bytes(1), unsigned(args.number(2)), &answers);
  return error != 0 ? throwErrno(env, error, "netlink") : makeBuffer(env, answers);
}

napi_value becomeSubreaper(napi_env env, napi_callback_info) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return throwErrno(env, errno, "prctl");
  return undefined(env);
}

napi_value dieWithParent(napi_env env, napi_callback_info info) {
  // (signal number)
  Args args(env, info);
  if (prctl(PR_SET_PDEATHSIG, args.number(0)) != 0) return throwErrno(env, errno, "prctl");
  return undefined(env);
}

napi_value init(napi_env env, napi_value exports) {
  const napi_property_descriptor methods[] = {
#define METHOD(name, function) {name, nullptr, method<function>, nullptr, nullptr, nullptr, napi_default, nullptr}
      METHOD("openChannel", openChannel),
      METHOD("closeChannel", closeChannel),
      METHOD("send", send),
      METHOD("setAgent", setAgent),
      METHOD("failWaiting", failWaiting),
      METHOD("addPort", addPort),
      METHOD("removePort", removePort),
      METHOD("counters", counters),
      METHOD("watchConnections", watchConnections),
      METHOD("startBypass", startBypass),
      METHOD("bypassPort", bypassPort),
      METHOD("endBypass", endBypass),
      METHOD("activatePort", activatePort),
      METHOD("bypassState", bypassState),
      METHOD("serveConnects", serveConnects),
      METHOD("setPlan", setPlan),
      METHOD("setClient", setClient),
      METHOD("forgetPlans", forgetPlans),
      METHOD("forgetPlan", forgetPlan),
      METHOD("forgetClients", forgetClients),
      METHOD("close", closeEngine),
#undef METHOD
  };
  napi_value constructor;
  napi_define_class(env, "Engine", NAPI_AUTO_LENGTH, construct, nullptr, sizeof methods / sizeof *methods, methods,
                    &constructor);
  set(env, exports, "Engine", constructor);

  const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"socketpair", makeSocketpair},   {"listen", listenOn},
      {"closeFd", closeFd},             {"flock", lockFile},
      {"addLoopbackAddress", addLoopbackAddressOf}, {"setTerminalSize", setTerminalSize},
      {"becomeSubreaper", becomeSubreaper}, {"dieWithParent", dieWithParent},
      {"onSignal", onSignal},
      {"openNetlink", openNetlink},     {"netlinkExchange", netlinkExchange},
      {"sendDatagram", sendDatagram},   {"takeSocket", takeSocket},
  };
  for (const auto& f : functions) {
    napi_value value;
    napi_create_function(env, f.name, NAPI_AUTO_LENGTH, f.function, nullptr, &value);
    set(env, exports, f.name, value);
  }
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
