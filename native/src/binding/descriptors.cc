// File descriptors: pipes, sockets, locks, terminals.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "binding/exports.h"
#include "binding/values.h"
#include "loop/closer.h"
#include "process/process.h"
#include "system/sealed_copy.h"

namespace rn {

namespace {

napi_value makePipe(napi_env env, napi_callback_info) {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return throwErrno(env, errno, "pipe2");
  return makeArray(env, {fds[0], fds[1]});
}

napi_value sealedCopyOf(napi_env env, napi_callback_info info) {
  // (path) -> fd
  Args args(env, info);
  int fd = sealedCopy(args.string(0));
  return fd < 0 ? throwErrno(env, errno, "memfd_create") : makeNumber(env, fd);
}

napi_value makeSocketpair(napi_env env, napi_callback_info) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return throwErrno(env, errno, "socketpair");
  return makeArray(env, {fds[0], fds[1]});
}

napi_value closeFd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Fd fd(int(args.number(0)));
  fd.reset();
  return undefined(env);
}

napi_value duplicateFd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = fcntl(int(args.number(0)), F_DUPFD_CLOEXEC, 0);
  return fd < 0 ? throwErrno(env, errno, "fcntl") : makeNumber(env, fd);
}

napi_value discardFd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  closer::close(Fd(int(args.number(0))));
  return undefined(env);
}

napi_value closeOnExec(napi_env env, napi_callback_info info) {
  // (fd)
  Args args(env, info);
  int error = process::closeOnExec(int(args.number(0)));
  return error != 0 ? throwErrno(env, error, "fcntl") : undefined(env);
}

napi_value lockFile(napi_env env, napi_callback_info info) {
  // (fd, exclusive) -> whether it was got
  Args args(env, info);
  bool got = flock(int(args.number(0)), (args.boolean(1) ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0;
  if (!got && errno != EWOULDBLOCK) return throwErrno(env, errno, "flock");
  return makeBoolean(env, got);
}

winsize windowSize(const Args& args) {
  // (…, columns, rows)
  winsize size{};
  size.ws_col = static_cast<unsigned short>(args.number(1));
  size.ws_row = static_cast<unsigned short>(args.number(2));
  return size;
}

napi_value openPty(napi_env env, napi_callback_info) {
  // () -> [its end here, the program's]
  Fd master(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (!master.valid() || grantpt(master.get()) != 0 || unlockpt(master.get()) != 0) {
    return throwErrno(env, errno, "open /dev/ptmx");
  }
  // Not by its name: /dev/pts may be another one here (ioctl_tty(2)).
  Fd program(ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!program.valid()) return throwErrno(env, errno, "TIOCGPTPEER");
  return makeArray(env, {master.release(), program.release()});
}

napi_value setPtySize(napi_env env, napi_callback_info info) {
  // (fd, columns, rows)
  Args args(env, info);
  winsize size = windowSize(args);
  if (ioctl(int(args.number(0)), TIOCSWINSZ, &size) != 0) return throwErrno(env, errno, "TIOCSWINSZ");
  return undefined(env);
}

napi_value setTerminalSize(napi_env env, napi_callback_info info) {
  // (path, columns, rows)
  Args args(env, info);
  // It must not become the controlling terminal, and open must not block: the path may be any file by now.
  Fd fd(open(args.string(0).c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  winsize size = windowSize(args);
  if (!fd.valid() || ioctl(fd.get(), TIOCSWINSZ, &size) != 0) return throwErrno(env, errno, "TIOCSWINSZ");
  return undefined(env);
}

}  // namespace

std::vector<NamedFunction> descriptorFunctions() {
  return {
      {"socketpair", makeSocketpair}, {"pipe", makePipe},         {"sealedCopy", sealedCopyOf},
      {"closeFd", closeFd},           {"discardFd", discardFd},   {"duplicateFd", duplicateFd},
      {"closeOnExec", closeOnExec},   {"flock", lockFile},        {"setTerminalSize", setTerminalSize},
      {"openPty", openPty},           {"setPtySize", setPtySize},
  };
}

}  // namespace rn
