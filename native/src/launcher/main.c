/*
 * launcher: makes the namespaces, sets them up as the parent requests, and runs the command in them.
 *
 *   launcher CONTROL-FD PARENT-PID [map-early]
 *   launcher die-with PARENT-PID COMMAND…      runs a helper of the parent in the parent's namespaces, to die with it
 *   launcher in-terminal COMMAND…               runs it in a session of its own, whose terminal is its standard input
 *
 * Other descriptors that are open are the command's: only the command inherits them, and no other process holds them once it
 * runs. The same is true for the environment, ignored signals, the signal mask and the limits.
 *
 * Theory of operation. The parent (node, or front.c before it becomes node) starts this program with one end of a
 * SOCK_SEQPACKET socketpair. Packets are words that end with a NUL each. The launcher sends the first one; then the parent
 * sends requests (requests.c has the table), and each is answered with "ok" (and words) or with "error", an errno, and what
 * failed.
 *
 *   launcher: unshared            the user namespace exists; the parent writes the id maps now …
 *   parent:   mapped NAMESPACES   … or has them written; the launcher becomes root in it, and makes the other namespaces,
 *                                 NAMESPACE[,NAMESPACE…] of mnt net pid ipc uts cgroup
 *          or map NAMESPACES PROGRAM WORD… "" PROGRAM WORD…
 *                                 runs newuidmap(1) and newgidmap(1), side by side; then as "mapped". With map-early
 *                                 they run since the start where the parent would come to the same (process/sub_ids.h)
 *   launcher: unmapped NUMBER STATUS OUTPUT            which of the two failed (0 or 1), its wait status, its output
 *   launcher: ready PID           as the host counts; PID is in all of them (it is the launcher, or its child with pid)
 *   parent:   further requests; "run" is the last one of the set-up, or "idle" where there is no command
 *   launcher: exited CODE | signaled NUMBER     the command is over; the launcher ends after it
 *   launcher: program-ended PID exited|signaled NUMBER     of one that "program" has started, beside the command
 *   launcher: signal NUMBER       where there is no command: the launcher received it, alone or with its process group
 *
 * While the command runs the launcher is the subreaper of everything below it, and forwards signals. When the command
 * ends, or the parent's end of the socket closes (also by SIGKILL), it kills what is left below it, however deep and
 * whether daemonised or not, and ends. With a pid namespace the kernel does the same when its first process ends.
 *
 * Orders of sockets come on another socket (inbound/socket_orders.h).
 *
 * With a detached network namespace the launcher and the command stay in the host's; what has to happen in the other one
 * is done in a process that joins it for that.
 *
 * The sequence matters: pdeathsig is cleared whenever credentials change, so it is set again after that (prctl(2)).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/launcher.h"
#include "process/descendants.h"
#include "process/sub_ids.h"

/* Outside a new pid namespace: waits for its first process, and ends as it does. */
static _Noreturn void wait_for_first_process(pid_t first) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, NULL);
  int status;
  while (waitpid(first, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 255);
}

/*
 * Makes the user namespace, has its ids mapped, and becomes root in it. Returns 0; -1 after a failure that was reported, and
 * when the parent is gone.
 */
static int make_user_namespace(pid_t parent, int early) {
  static char words[8 * 1024];
  size_t size = early ? plan_id_map(words, sizeof words) : 0;
  int error = fork_mapper();
  if (error != 0) {
    reply_error(error, "fork", NULL);
    return -1;
  }
  if (unshare(CLONE_NEWUSER) != 0) {
    reply_error(errno, "unshare", "user");
    return -1;
  }
  die_with(parent, SIGKILL);
  if (size > 0) map_early(words, size);
  send_words("unshared", NULL);
  if (!receive_request() || dispatch(PHASE_ID_MAP) == FAILED) return -1;
  end_mapper();
  /* With a one-id map setgroups is denied, and there is nothing to drop. */
  if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) {
    reply_error(errno, "become root in the user namespace", NULL);
    return -1;
  }
  die_with(parent, SIGKILL);
  /* The maps are written; /proc/PID of this process must be readable for the parent again. */
  prctl(PR_SET_DUMPABLE, 1);
  return 0;
}

/* Continues in the first process of the new pid namespace. Returns 0, or -1 if there is none. */
static int enter_pid_namespace(void) {
  pid_t first = fork();
  if (first < 0) {
    reply_error(errno, "fork into the pid namespace", NULL);
    return -1;
  }
  if (first > 0) {
    send_number("ready", first);
    close(control);
    close_inherited();
    wait_for_first_process(first);
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  return 0;
}

/* Handles requests until "run" has started the command, or "idle" has come. Exits when the parent is gone. */
static void set_up(void) {
  while (command < 0) {
    if (!receive_request()) _exit(1);
    dispatch(PHASE_SETUP);
    close_request_fds();
  }
}

/* Waits for the command; without one, for the parent's end. Returns its status, or -1 when the parent is gone. */
static int supervise(void) {
  struct pollfd fds[3] = {{signal_fd, POLLIN, 0}, {control, POLLIN, 0}, {-1, POLLIN, 0}};
  int status = 0;
  for (;;) {
    fds[2].fd = socket_orders;
    if (poll(fds, 3, -1) < 0 && errno != EINTR) return -1;
    if (read_signals(command, &status)) return status;
    if (fds[2].revents != 0) serve_socket_orders();
    if (fds[1].revents == 0) continue;
    if (!receive_request()) return -1;
    dispatch(PHASE_RUNNING);
    close_request_fds();
  }
}

/* Becomes that program; returns the exit code on failure. */
static int become(char **argv) {
  execvp(argv[0], argv);
  fprintf(stderr, "cannot execute %s: %s\n", argv[0], strerror(errno));
  return errno == ENOENT ? 127 : 126;
}

/* Runs a helper in this process, which ends with its parent. */
static int run_with_parent(char **argv) {
  die_with((pid_t)atol(argv[2]), SIGKILL);
  /* Out of reach of the terminal's signals, which are meant for the command. */
  setsid();
  return become(&argv[3]);
}

/* Runs a program with the terminal that it gets as its standard input, which signals it from then on. */
static int run_in_terminal(char **argv) {
  setsid();
  ioctl(0, TIOCSCTTY, 0);
  return become(&argv[2]);
}

int main(int argc, char **argv) {
  if (argc > 2 && strcmp(argv[1], "in-terminal") == 0) return run_in_terminal(argv);
  if (argc > 3 && strcmp(argv[1], "die-with") == 0) return run_with_parent(argv);
  int early = argc == 4 && strcmp(argv[3], "map-early") == 0;
  if (argc != 3 && !early) {
    fprintf(stderr, "launcher is started by rootless-run, not directly\n");
    return 2;
  }
  block_signals();
  control = atoi(argv[1]);
  pid_t parent = (pid_t)atol(argv[2]);
  fcntl(control, F_SETFD, FD_CLOEXEC);
  find_inherited();
  die_with(parent, SIGKILL);

  if (make_user_namespace(parent, early) != 0 || unshare_namespaces(requested_namespaces) != 0) return 1;
  int has_pid_namespace = (requested_namespaces & CLONE_NEWPID) != 0;
  if (has_pid_namespace) {
    if (enter_pid_namespace() != 0) return 1;
  } else {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    send_number("ready", getpid());
  }

  open_signal_fd();
  set_up();
  /*
   * From here on the end of the control socket reports that the parent is gone, so that the launcher can clean up before it
   * ends. In a pid namespace the kernel does that, and the process outside of it has no other way to signal its end.
   */
  if (!has_pid_namespace) prctl(PR_SET_PDEATHSIG, 0);
  int status = supervise();
  if (status >= 0) {
    if (WIFSIGNALED(status)) {
      send_number("signaled", WTERMSIG(status));
    } else {
      send_number("exited", WEXITSTATUS(status));
    }
  }
  kill_descendants();
  if (status < 0) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}
