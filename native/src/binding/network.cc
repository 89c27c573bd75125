// Listeners, service manager sockets, addresses and netlink.
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <functional>
#include <memory>

#include "binding/exports.h"
#include "binding/values.h"
#include "netlink/netlink.h"
#include "netlink/try_connect.h"
#include "process/service_manager.h"
#include "return_path/local_address.h"
#include "system/sockets.h"

namespace rn {

namespace {

napi_value listenOn(napi_env env, napi_callback_info info) {
  // (ip, port, type, dual)
  Args args(env, info);
  Address address;
  if (!Address::parse(args.string(0), uint16_t(args.number(1)), &address)) return throwErrno(env, EINVAL, "parse");
  sockets::ListenResult result = sockets::listenOn(address, args.socketType(2), args.boolean(3));
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

napi_value listenRange(napi_env env, napi_callback_info info) {
  // (ip, firstPort, count, type, dual) -> fds: all or none. The error has the `port` that failed.
  Args args(env, info);
  std::vector<Fd> listeners;
  for (uint32_t i = 0; i < args.number(2); i++) {
    Address address;
    uint16_t port = uint16_t(args.number(1) + i);
    if (!Address::parse(args.string(0), port, &address)) return throwErrno(env, EINVAL, "parse");
    sockets::ListenResult result = sockets::listenOn(address, args.socketType(3), args.boolean(4));
    if (result.error != 0) return throwErrno(env, result.error, result.call, port);
    listeners.push_back(std::move(result.fd));
  }
  napi_value fds;
  napi_create_array_with_length(env, listeners.size(), &fds);
  for (size_t i = 0; i < listeners.size(); i++) {
    napi_set_element(env, fds, uint32_t(i), makeNumber(env, listeners[i].release()));
  }
  return fds;
}

napi_value listenOnPath(napi_env env, napi_callback_info info) {
  // (path, mode) -> fd: not libuv's, which would remove at its end whatever the path leads to then
  Args args(env, info);
  std::string path = args.string(0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) return throwErrno(env, ENAMETOOLONG, "bind");
  memcpy(address.sun_path, path.data(), path.size());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return throwErrno(env, errno, "socket");
  // From the first moment on: a chmod afterwards would leave a gap.
  mode_t mask = umask(0777 & ~mode_t(args.number(1)));
  int error = bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  umask(mask);
  if (error != 0) return throwErrno(env, error, "bind");
  if (listen(fd.get(), SOMAXCONN) != 0) return throwErrno(env, errno, "listen");
  return makeNumber(env, fd.release());
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
  set(env, out, "dual", makeBoolean(env, socket.dual));
  return out;
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

// A call on a thread of libuv's pool, for what the kernel takes long for.
struct PendingCall {
  const char* name;
  // Returns 0, with the result, or an errno.
  std::function<int(std::string* result)> call;
  int error = 0;
  std::string result;
  napi_async_work work = nullptr;
  napi_deferred deferred = nullptr;
};

void runCall(napi_env, void* data) {
  auto* pending = static_cast<PendingCall*>(data);
  pending->error = pending->call(&pending->result);
}

void settleCall(napi_env env, napi_status, void* data) {
  std::unique_ptr<PendingCall> pending(static_cast<PendingCall*>(data));
  napi_delete_async_work(env, pending->work);
  if (pending->error == 0) {
    napi_resolve_deferred(env, pending->deferred, makeBuffer(env, pending->result));
    return;
  }
  napi_value reason;
  throwErrno(env, pending->error, pending->name);
  napi_get_and_clear_last_exception(env, &reason);
  napi_reject_deferred(env, pending->deferred, reason);
}

napi_value startCall(napi_env env, const char* name, std::function<int(std::string*)> call) {
  auto pending = std::make_unique<PendingCall>(PendingCall{name, std::move(call)});
  napi_value promise;
  napi_create_promise(env, &pending->deferred, &promise);
  napi_create_async_work(env, nullptr, makeString(env, name), runCall, settleCall, pending.get(), &pending->work);
  napi_queue_async_work(env, pending.release()->work);
  return promise;
}

napi_value netlinkExchangeAsync(napi_env env, napi_callback_info info) {
  // (fd, messages, acknowledgements) -> promise of the answers; the socket must be open, and not be used, until then
  Args args(env, info);
  int fd = int(args.number(0));
  auto acknowledgements = unsigned(args.number(2));
  return startCall(env, "netlink", [fd, acknowledgements, messages = args.bytes(1)](std::string* answers) {
    return netlink::exchange(fd, messages, acknowledgements, answers);
  });
}

napi_value tryConnectTo(napi_env env, napi_callback_info info) {
  // (ip, port, netns, ms) -> promise
  Args args(env, info);
  Address address;
  if (!Address::parse(args.string(0), uint16_t(args.number(1)), &address)) return throwErrno(env, EINVAL, "parse");
  auto ms = unsigned(args.number(3));
  return startCall(env, "connect",
                   [address, netns = args.string(2), ms](std::string*) { return tryConnect(address, netns, ms); });
}

}  // namespace

std::vector<NamedFunction> networkFunctions() {
  return {
      {"listen", listenOn},
      {"listenRange", listenRange},
      {"listenOnPath", listenOnPath},
      {"sendDatagram", sendDatagram},
      {"takeSocket", takeSocket},
      {"addLoopbackAddress", addLoopbackAddressOf},
      {"openNetlink", openNetlink},
      {"netlinkExchange", netlinkExchange},
      {"netlinkExchangeAsync", netlinkExchangeAsync},
      {"tryConnect", tryConnectTo},
  };
}

}  // namespace rn
