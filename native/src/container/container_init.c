/*
 * container_init: the first process of a container with --init. The kernel sends such a process only signals that it has
 * handlers for, and makes it the parent of all orphans of its pid namespace (pid_namespaces(7)); few programs expect that.
 *
 *   container_init -- PROGRAM ARGUMENT…
 *
 * It runs the program as its child, in a process group of its own, forwards each signal to it, reaps all processes, and ends
 * as the program does: with its exit code, or 128 plus the number of its signal. 127 where there is no such program, 126
 * where it cannot be executed.
 */
#include "container/bare_program.h"

enum { SIGCHLD = 17, SIG_SETMASK = 2, TIOCSPGRP = 0x5410, WNOHANG = 1, SIGNALS = 64 };
/* Faults of this program itself; their default action ends it. */
enum {
  SIGILL = 4,
  SIGTRAP = 5,
  SIGABRT = 6,
  SIGBUS = 7,
  SIGFPE = 8,
  SIGSEGV = 11,
  SIGTTIN = 21,
  SIGTTOU = 22,
  SIGSYS = 31
};

typedef unsigned long long sigset;

static _Noreturn void run_program(char **words, char **environment, const sigset *mask) {
  long group = 0;
  syscall4(__NR_setpgid, 0, 0, 0, 0);
  group = syscall4(__NR_getpid, 0, 0, 0, 0);
  /* In the foreground of its terminal, if it has one; SIGTTOU is still blocked. */
  int foreground = (int)group;
  syscall4(__NR_ioctl, 0, TIOCSPGRP, (long)&foreground, 0);
  syscall4(__NR_rt_sigprocmask, SIG_SETMASK, (long)mask, 0, sizeof *mask);
  long error = execute(words, environment);
  print("cannot execute ");
  print(words[0]);
  print(error == ENOENT   ? ": no such file or directory\n"
        : error == EACCES ? ": permission denied\n"
                          : ": not a program for this machine\n");
  leave(error == ENOENT ? 127 : 126);
}

/* Reaps all processes that have ended. Returns the exit code of the program once that has ended, -1 before. */
static int reap(long program) {
  int code = -1;
  for (;;) {
    int status = 0;
    long pid = syscall4(__NR_wait4, -1, (long)&status, WNOHANG, 0);
    if (pid == -EINTR) continue;
    if (pid <= 0) return code;
    if (pid == program) code = (status & 0x7f) != 0 ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
  }
}

static sigset bit(int signal) { return 1ull << (signal - 1); }

__attribute__((used, noreturn)) void begin(long *stack) {
  long count = stack[0];
  char **words = (char **)(stack + 1);
  char **environment = words + count + 1;
  if (count < 3) {
    print("container_init is the first process of a container, not started directly\n");
    leave(2);
  }
  sigset all = ~(bit(SIGILL) | bit(SIGTRAP) | bit(SIGABRT) | bit(SIGBUS) | bit(SIGFPE) | bit(SIGSEGV) | bit(SIGSYS));
  sigset original = 0;
  syscall4(__NR_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&original, sizeof all);
  /* Like fork(2). */
  long program = syscall5(__NR_clone, SIGCHLD, 0, 0, 0, 0);
  if (program == 0) run_program(words + 2, environment, &original);
  if (program < 0) {
    print("cannot start the container's program: no process can be made\n");
    leave(126);
  }
  for (;;) {
    int code = reap(program);
    if (code >= 0) leave(code);
    long signal = syscall4(__NR_rt_sigtimedwait, (long)&all, 0, 0, sizeof all);
    if (signal <= 0 || signal == SIGCHLD) continue;
    /* Those mean that this process used a terminal in the background, which does not concern the program. */
    if (signal != SIGTTIN && signal != SIGTTOU) syscall4(__NR_kill, program, signal, 0, 0);
  }
}
