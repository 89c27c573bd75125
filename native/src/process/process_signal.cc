#include "process/process_signal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system/fd.h"

namespace rn {

namespace process {

namespace {

// "" if there is no such process.
std::string startTime(pid_t pid) {
  char text[1024];
  Fd file(open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  ssize_t n = !file.valid() ? -1 : read(file.get(), text, sizeof text - 1);
  if (n <= 0) return "";
  text[n] = '\0';
  // The name is in parentheses and may contain spaces and parentheses; the state, field 3, comes after it.
  const char* at = strrchr(text, ')');
  for (int field = 2; at != nullptr && field < 22; field++) {
    at = strchr(at, ' ');
    if (at != nullptr) at++;
  }
  return at == nullptr ? "" : std::string(at, strcspn(at, " "));
}

}  // namespace

int sendSignal(pid_t pid, const std::string& start_time, int number) {
  // The descriptor refers to its process: a later process with the same pid is not reached.
  Fd pidfd(int(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid()) return errno;
  if (startTime(pid) != start_time) return ESRCH;
  return syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0) == 0 ? 0 : errno;
}

}  // namespace process

}  // namespace rn
