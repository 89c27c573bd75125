/*
 * container_monitor: supervises one container: logs its output, and reports its exit code, even if the agent dies.
 *
 *   container_monitor [OPTION…] EXIT-FILE PID-FILE RUNTIME ARGUMENT…   (a command line of `create`, with --pid-file PID-FILE)
 *
 *   --log=FILE --log-max-size=BYTES --log-max-file=COUNT   see monitor/log_writer.h
 *   --input=SOCKET         on which the agent sends the container's input, see monitor/input.h
 *   --stdin                its standard input is open; /dev/null otherwise
 *   --terminal=SOCKET      it has a terminal, which the runtime sends to that socket (--console-socket SOCKET)
 *   --size=COLUMNSxROWS    of the terminal
 *
 * Theory of operation. The monitor makes the container's streams, becomes the subreaper of everything below it, and runs
 * the OCI runtime, which creates the container's first process and ends. That process is the monitor's child then. On
 * descriptor 3, a socket, the monitor reports "created PID LENGTH", or "failed CODE LENGTH" with the runtime's exit code,
 * and in the next line the runtime's output, of that length. It reads one byte from the socket: the process is recorded. If
 * the socket ends instead, the process could never be found again, and is killed. From then on the monitor moves data
 * (monitor/output.h, monitor/input.h) until the first process ends. Processes that it leaves behind, if it had no pid
 * namespace of its own, belong to the container, too, and are killed. Then the monitor writes the exit code (128 plus the
 * number, for a signal) to EXIT-FILE, atomically, and ends; the log is complete by then.
 *
 * It runs in a session of its own. When the agent dies it continues; when the stack ends, it is killed like all others.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/console.h"
#include "monitor/events.h"
#include "monitor/input.h"
#include "monitor/log_writer.h"
#include "monitor/output.h"
#include "process/descendants.h"

enum { REPORT = 3 };

struct options {
  const char *log, *input, *terminal;
  long long log_max_size;
  int log_max_file, open_stdin;
  struct winsize size;
};

static struct log_writer container_log;
static struct output output;
static struct input input;

static void report(const char *word, long number, const char *text, size_t length) {
  char line[64];
  int head = snprintf(line, sizeof line, "%s %ld %zu\n", word, number, length);
  ssize_t ignored = write(REPORT, line, (size_t)head);
  if (length > 0) ignored = write(REPORT, text, length);
  (void)ignored;
}

/* Whether the agent has recorded the container's process. */
static int is_recorded(void) {
  char word;
  ssize_t n;
  do {
    n = read(REPORT, &word, 1);
  } while (n < 0 && errno == EINTR);
  close(REPORT);
  return n == 1;
}

static int fail(const char *what) {
  char text[256];
  int length = snprintf(text, sizeof text, "%s: %s\n", what, strerror(errno));
  report("failed", 126, text, (size_t)length);
  return 1;
}

static int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

static long read_number(const char *path) {
  char text[32] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  return n > 0 ? atol(text) : 0;
}

/* Atomically: a process that waits for the file sees it only when it is complete. */
static void write_exit_file(const char *path, int code) {
  char temporary[PATH_MAX], text[16];
  if (snprintf(temporary, sizeof temporary, "%s.new", path) >= (int)sizeof temporary) return;
  int fd = open(temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (fd < 0) return;
  int length = snprintf(text, sizeof text, "%d\n", code);
  int whole = write(fd, text, (size_t)length) == length;
  close(fd);
  if (whole) rename(temporary, path);
}

static int parse_options(int argc, char **argv, struct options *options) {
  static const struct option known[] = {
      {"log", required_argument, NULL, 'l'},
      {"log-max-size", required_argument, NULL, 's'},
      {"log-max-file", required_argument, NULL, 'f'},
      {"input", required_argument, NULL, 'i'},
      {"stdin", no_argument, NULL, 'o'},
      {"terminal", required_argument, NULL, 't'},
      {"size", required_argument, NULL, 'z'},
      {NULL, 0, NULL, 0},
  };
  *options =
      (struct options){.log_max_size = 10 * 1024 * 1024, .log_max_file = 3, .size = {.ws_col = 80, .ws_row = 24}};
  opterr = 0;
  for (int option; (option = getopt_long(argc, argv, "+", known, NULL)) != -1;) {
    if (option == 'l') options->log = optarg;
    else if (option == 's') options->log_max_size = atoll(optarg);
    else if (option == 'f') options->log_max_file = atoi(optarg);
    else if (option == 'i') options->input = optarg;
    else if (option == 'o') options->open_stdin = 1;
    else if (option == 't') options->terminal = optarg;
    else if (option == 'z') sscanf(optarg, "%hux%hu", &options->size.ws_col, &options->size.ws_row);
    else return -1;
  }
  return options->log != NULL && options->input != NULL && argc - optind >= 3 ? 0 : -1;
}

/* The child that is waited for; its status once it has ended. */
static struct {
  pid_t pid;
  /* Whether all other children are reaped: until the container is created, it may be one of them. */
  int reap_all, ended, status;
} child;

static void on_pidfd(struct watch *watch, uint32_t events) {
  (void)events;
  events_close(watch);
  child.ended = 1;
  child.status = -1;
}

/* Not a child of the monitor: the runtime gave it another parent. Its end can be seen, but not its status. */
static void watch_foreign(pid_t pid) {
  static struct watch foreign;
  foreign = (struct watch){(int)syscall(SYS_pidfd_open, pid, 0u), on_pidfd};
  if (foreign.fd < 0 || events_add(&foreign, EPOLLIN) != 0) on_pidfd(&foreign, 0);
}

static void reap(void) {
  int status;
  for (pid_t gone; (gone = waitpid(child.reap_all ? -1 : child.pid, &status, WNOHANG)) != 0 && !child.ended;) {
    if (gone == child.pid) {
      child.ended = 1;
      child.status = status;
    }
    if (gone < 0 && errno != EINTR) return;
  }
}

/* Whether the child has ended; only little is left in its pipes then. */
static int child_is_gone(void) {
  siginfo_t info = {0};
  return waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

static void on_signal(struct watch *watch, uint32_t events) {
  struct signalfd_siginfo info;
  (void)events;
  while (read(watch->fd, &info, sizeof info) > 0) {
  }
  reap();
}

/* Waits for a child's end, and moves data meanwhile. Returns its status; -1 if that cannot be read. */
static int wait_for_child(pid_t pid, int reap_all) {
  child.pid = pid;
  child.reap_all = reap_all;
  child.ended = 0;
  reap();
  siginfo_t info;
  if (!child.ended && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0) watch_foreign(pid);
  while (!child.ended) events_wait(-1);
  return child.status;
}

/* The runtime's own streams become the container's where it has no terminal. */
static void run_runtime(char **words, const struct options *options, const sigset_t *mask) {
  int in = options->open_stdin && options->terminal == NULL ? input.pipe_end : open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (dup2(in, STDIN_FILENO) < 0 || dup2(output.out_end, STDOUT_FILENO) < 0 ||
      dup2(output.err_end, STDERR_FILENO) < 0) {
    _exit(126);
  }
  /* The container must not inherit anything else. */
#ifdef SYS_close_range
  syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
#endif
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(words[0], words);
  dprintf(STDERR_FILENO, "cannot execute %s: %s\n", words[0], strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);
}

static int receive_terminal(int listener, const struct options *options) {
  int fd = console_receive(listener);
  close(listener);
  unlink(options->terminal);
  if (fd < 0) return -1;
  ioctl(fd, TIOCSWINSZ, &options->size);
  input.terminal = fd;
  output.on_writable = input_pump;
  output.context = &input;
  return output_terminal(&output, fd);
}

int main(int argc, char **argv) {
  struct options options;
  if (parse_options(argc, argv, &options) != 0) {
    fprintf(stderr, "container_monitor is started by the agent, not directly\n");
    return 2;
  }
  const char *exit_file = argv[optind], *pid_file = argv[optind + 1];
  char **words = argv + optind + 2;
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "container-mon");
  fcntl(REPORT, F_SETFD, FD_CLOEXEC);
  sigset_t mask, original;
  sigfillset(&mask);
  sigprocmask(SIG_BLOCK, &mask, &original);

  sigset_t child_mask;
  sigemptyset(&child_mask);
  sigaddset(&child_mask, SIGCHLD);
  struct watch children = {signalfd(-1, &child_mask, SFD_CLOEXEC | SFD_NONBLOCK), on_signal};
  int console = -1;
  if (events_open() != 0 || events_add(&children, EPOLLIN) != 0) return fail("cannot watch the container");
  if (output_open(&output, &container_log) != 0) return fail("cannot make the container's streams");
  if (input_open(&input, options.input, options.open_stdin && options.terminal == NULL) != 0) {
    return fail("cannot listen for the container's input");
  }
  if (options.terminal != NULL && (console = console_listen(options.terminal)) < 0) {
    return fail("cannot listen for the container's terminal");
  }
  if (log_open(&container_log, options.log, (off_t)options.log_max_size, options.log_max_file) != 0) {
    errno = ENAMETOOLONG;
    return fail("cannot open the log");
  }
  container_log.is_urgent = child_is_gone;

  pid_t runtime = fork();
  if (runtime < 0) return fail("cannot start the runtime");
  if (runtime == 0) run_runtime(words, &options, &original);
  output_given(&output);
  input_given(&input);
  int status = wait_for_child(runtime, 0);
  output_begin(&output);
  pid_t container = (pid_t)read_number(pid_file);
  if (status != 0 || container <= 0) {
    report("failed", status != 0 ? exit_code(status) : 1, output.runtime_text, output.runtime_length);
    return 1;
  }
  if (options.terminal != NULL && receive_terminal(console, &options) != 0) {
    return fail("cannot receive the container's terminal");
  }

  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3 && null >= 0; fd++) dup2(null, fd);
  report("created", container, output.runtime_text, output.runtime_length);
  if (!is_recorded()) kill(container, SIGKILL);

  status = wait_for_child(container, 1);
  kill_descendants();
  output_finish(&output);
  log_close(&container_log);
  if (status == -1) return 1;
  write_exit_file(exit_file, exit_code(status));
  return 0;
}
