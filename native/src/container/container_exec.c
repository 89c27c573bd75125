/*
 * container_exec: sets the limit of open files, and becomes a further program of a container.
 *
 *   container_exec SOFT HARD PROGRAM ARGUMENT…
 *
 * Some versions of runc use a Go that raises the soft limit to the hard one when it starts, and do not reset it for programs
 * that they execute in a running container. Descriptor 3 is this program, and 4 a pipe; both are closed on exec. If the
 * program cannot be executed, one byte is written to the pipe, the number of the error, and the exit code is 127 (there is
 * no such program) or 126; else the pipe is closed.
 */
#include "container/bare_program.h"

enum { SELF = 3, REPORT = 4, RLIMIT_NOFILE = 7, F_SETFD = 2, FD_CLOEXEC = 1 };

struct limit {
  unsigned long long soft, hard;
};

static unsigned long long number_of(const char *text) {
  unsigned long long number = 0;
  for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (unsigned)(*text - '0');
  return number;
}

__attribute__((used, noreturn)) void begin(long *stack) {
  long count = stack[0];
  char **words = (char **)(stack + 1);
  char **environment = words + count + 1;
  if (count < 4) {
    print("container_exec is started by an OCI runtime, not directly\n");
    leave(126);
  }
  struct limit limit = {number_of(words[1]), number_of(words[2])};
  /* On failure the limit stays as the runtime has set it. */
  syscall4(__NR_prlimit64, 0, RLIMIT_NOFILE, (long)&limit, 0);
  syscall4(__NR_close, SELF, 0, 0, 0);
  syscall4(__NR_fcntl, REPORT, F_SETFD, FD_CLOEXEC, 0);
  long error = execute(words + 3, environment);
  unsigned char byte = (unsigned char)error;
  syscall4(__NR_write, REPORT, (long)&byte, 1, 0);
  leave(error == ENOENT ? 127 : 126);
}
