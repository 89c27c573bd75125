/*
 * container_monitor: watches over one container, so that how it ended is known, whoever else dies meanwhile.
 *
 *   container_monitor EXIT-FILE PID-FILE RUNTIME ARGUMENT…       (a command line of `create`, with --pid-file PID-FILE)
 *
 * Theory of operation. The monitor becomes the reaper of what is below it and runs the OCI runtime, which makes the
 * container's first process and ends. That process is the monitor's child then. On descriptor 3 the monitor says
 * "created PID", or "failed CODE" with the runtime's exit code, and closes it. Then it gives up the container's standard
 * streams, so that who reads them sees their end, and waits. When the first process ends, the monitor writes its exit
 * code (128 and the number, for a signal) to EXIT-FILE, which appears there whole, and ends.
 *
 * It runs in a session of its own. When the agent dies it goes on; when the stack ends, it is killed as everything is.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPORT = 3 };

static void report(const char *word, long number) {
  char line[64];
  int length = snprintf(line, sizeof line, "%s %ld\n", word, number);
  ssize_t ignored = write(REPORT, line, (size_t)length);
  (void)ignored;
  close(REPORT);
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

/* Whoever waits for the file sees it when it is complete. */
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

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "container_monitor is started by the agent, not by hand\n");
    return 2;
  }
  const char *exit_file = argv[1], *pid_file = argv[2];
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_NAME, "container-mon");
  fcntl(REPORT, F_SETFD, FD_CLOEXEC);
  sigset_t mask, original;
  sigfillset(&mask);
  sigprocmask(SIG_BLOCK, &mask, &original);

  pid_t runtime = fork();
  if (runtime < 0) {
    report("failed", 126);
    return 1;
  }
  if (runtime == 0) {
    sigprocmask(SIG_SETMASK, &original, NULL);
    execvp(argv[3], &argv[3]);
    dprintf(STDERR_FILENO, "cannot execute %s: %s\n", argv[3], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
  }
  int status = 0;
  while (waitpid(runtime, &status, 0) < 0 && errno == EINTR) {
  }
  pid_t container = (pid_t)read_number(pid_file);
  if (status != 0 || container <= 0) {
    report("failed", status != 0 ? exit_code(status) : 1);
    return 1;
  }

  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3 && null >= 0; fd++) dup2(null, fd);
  report("created", container);

  for (;;) {
    pid_t gone = waitpid(-1, &status, 0);
    if (gone == container) break;
    if (gone < 0 && errno != EINTR) {
      /* It is no child of ours: the runtime made it one of somebody else's. */
      return 1;
    }
  }
  write_exit_file(exit_file, exit_code(status));
  return 0;
}
