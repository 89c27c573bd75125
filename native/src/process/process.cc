#include "process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

namespace rn {

namespace process {

int ignoreSignal(int number) {
  struct sigaction action {};
  action.sa_handler = SIG_IGN;
  return sigaction(number, &action, nullptr) == 0 ? 0 : errno;
}

int closeOnExec(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : errno; }

int reap(pid_t pid, bool* ended, int* status) {
  pid_t found;
  do {
    found = waitpid(pid, status, WNOHANG);
  } while (found < 0 && errno == EINTR);
  *ended = found == pid;
  return found < 0 ? errno : 0;
}

}  // namespace process

}  // namespace rn
