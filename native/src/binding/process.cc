// This process, its children, and signals.
#include "process/process.h"

#include <errno.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "binding/exports.h"
#include "binding/values.h"
#include "process/process_signal.h"
#include "process/shown_words.h"
#include "sandbox/confine.h"
#include "system/fd.h"

namespace rn {

namespace {

napi_value becomeSubreaper(napi_env env, napi_callback_info) {
  if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return throwErrno(env, errno, "prctl");
  return undefined(env);
}

napi_value confineProcess(napi_env env, napi_callback_info) {
  if (int error = confine::process()) return throwErrno(env, error, "seccomp");
  return undefined(env);
}

napi_value signalProcess(napi_env env, napi_callback_info info) {
  // (pid, start time, signal number)
  Args args(env, info);
  int error = process::sendSignal(pid_t(args.number(0)), args.string(1), int(args.number(2)));
  return error != 0 ? throwErrno(env, error, "pidfd_send_signal") : undefined(env);
}

napi_value ignoreSignal(napi_env env, napi_callback_info info) {
  // (signal number)
  Args args(env, info);
  int error = process::ignoreSignal(int(args.number(0)));
  return error != 0 ? throwErrno(env, error, "sigaction") : undefined(env);
}

napi_value reapChild(napi_env env, napi_callback_info info) {
  // (pid) -> status of wait(2), undefined while it runs
  Args args(env, info);
  bool ended = false;
  int status = 0;
  int error = process::reap(pid_t(args.number(0)), &ended, &status);
  if (error != 0) return throwErrno(env, error, "waitpid");
  return ended ? makeNumber(env, status) : undefined(env);
}

napi_value peerPid(napi_env env, napi_callback_info info) {
  // (fd of a Unix socket) -> pid of the process that has connected (unix(7)), 0 where it is not visible
  Args args(env, info);
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(int(args.number(0)), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return throwErrno(env, errno, "getsockopt");
  }
  return makeNumber(env, peer.pid);
}

napi_value peerHasEnded(napi_env env, napi_callback_info info) {
  // (fd of a Unix socket) -> whether the process that has connected has ended; false where the kernel cannot tell
  constexpr int kPeerPidfd = 77;  // SO_PEERPIDFD, which is newer than some headers
  Args args(env, info);
  int pidfd = -1;
  socklen_t length = sizeof pidfd;
  if (getsockopt(int(args.number(0)), SOL_SOCKET, kPeerPidfd, &pidfd, &length) != 0) {
    return makeBoolean(env, errno != ENOPROTOOPT);
  }
  Fd peer(pidfd);
  pollfd ended = {peer.get(), POLLIN, 0};
  return makeBoolean(env, poll(&ended, 1, 0) != 0);
}

napi_value setCommandLine(napi_env env, napi_callback_info info) {
  // (bytes)
  Args args(env, info);
  std::string words = args.bytes(0);
  int error = show_command_line(words.data(), words.size());
  return error != 0 ? throwErrno(env, error, "prctl") : undefined(env);
}

}  // namespace

std::vector<NamedFunction> processFunctions() {
  return {
      {"becomeSubreaper", becomeSubreaper},
      {"confineProcess", confineProcess},
      {"onSignal", onSignal},
      {"signalProcess", signalProcess},
      {"ignoreSignal", ignoreSignal},
      {"reapChild", reapChild},
      {"setCommandLine", setCommandLine},
      {"peerPid", peerPid},
      {"peerHasEnded", peerHasEnded},
  };
}

}  // namespace rn
