#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "front/node_environment.h"
#include "launcher/launcher.h"
#include "process/shown_words.h"
#include "sandbox/bypass_filter.h"

pid_t command = -1;

/* The socket to the parent's end of the port driver bypass, see bypass_filter.h; -1 without it. */
static int bypass_socket = -1;

/* The command line, which may be longer than a packet: "more" requests bring parts of it before "run". */
static char **command_line;
static int command_line_count;

/* Helpers that were started last, and have not been reaped: only these are killed by their pid. */
enum { MAX_HELPERS = 64 };
static pid_t helpers[MAX_HELPERS];
static int next_helper;

void die_with(pid_t parent, int death_signal) {
  prctl(PR_SET_PDEATHSIG, death_signal);
  /* It may have ended before. In a new pid namespace an outside parent shows as 0. */
  pid_t now = getppid();
  if (now != parent && now != 0) _exit(1);
}

/* Programs that search for the stack of a process read the environment of `child_pid`. */
static void show_own_environment(void) {
  size_t size = 0, used = 0;
  if (*environ == NULL) return;
  for (char **entry = environ; *entry != NULL; entry++) size += strlen(*entry) + 1;
  char *all = malloc(size);
  if (all == NULL) return;
  for (char **entry = environ; *entry != NULL; entry++) {
    size_t length = strlen(*entry) + 1;
    memcpy(all + used, *entry, length);
    used += length;
  }
  show_environment(all, size);
  free(all);
}

/* environment WORD…: of this process and everything that is started: NAME=VALUE is set, NAME is removed */
enum outcome request_environment(void) {
  for (int i = 1; i < request.count; i++) {
    char *name = request.words[i], *value = strchr(name, '=');
    if (value != NULL) *value++ = '\0';
    if ((value != NULL ? setenv(name, value, 1) : unsetenv(name)) != 0) return fail(errno, "set", name);
  }
  show_own_environment();
  return DONE;
}

/* bypass: runs the command under the filter; the socket comes with the request */
enum outcome request_bypass(void) {
  bypass_socket = keep_request_fd();
  return bypass_socket < 0 ? fail(errno, "keep the socket of the bypass", NULL) : DONE;
}

/* The errno of execvp(3); where the file exists, it is its interpreter or loader that does not. */
static int exec_error(const char *file) {
  int error = errno;
  return error == ENOENT && strchr(file, '/') != NULL && access(file, F_OK) == 0 ? ELIBACC : error;
}

static void close_bypass_socket(void) {
  if (bypass_socket >= 0) close(bypass_socket);
  bypass_socket = -1;
}

/* In the command's process. `report` is needed until exec. Returns an errno. */
static int prepare_command(int *report) {
  int error = pass_on_descriptors((int *[]){report, &bypass_socket, NULL});
  if (bypass_socket >= 0) bypass_begin(bypass_socket);
  return error;
}

/* In a helper's process: `fd` becomes its descriptor 3. Returns an errno. */
static int prepare_helper(int *report, int fd) {
  if (*report == 3) *report = fcntl(3, F_DUPFD_CLOEXEC, 4);
  if (fd == 3) {
    fcntl(3, F_SETFD, 0);
  } else {
    dup2(fd, 3);
  }
  /* Out of reach of the terminal's signals. */
  setsid();
  /* The helper is Node; the variables are for the command. */
  environ = environment_for_node(environ, NULL);
  int error = enter_detached_netns();
  return error == 0 && environ == NULL ? ENOMEM : error;
}

/* In the new process. */
static _Noreturn void exec_child(char **argv, int helper_fd, int report) {
  int error = helper_fd < 0 ? prepare_command(&report) : prepare_helper(&report, helper_fd);
  if (error == 0) {
    execvp(argv[0], argv);
    error = exec_error(argv[0]);
  }
  ssize_t ignored = write(report, &error, sizeof error);
  (void)ignored;
  _exit(error == ENOENT ? 127 : 126);
}

static pid_t not_started(int error, const char *what, const char *program) {
  reply_error(error, what, program);
  return -1;
}

/*
 * Forks and executes the command (helper_fd -1), or a helper with `helper_fd` as its descriptor 3, in a session of its own,
 * and in the detached network namespace if there is one. On failure replies with the error, and returns -1.
 */
static pid_t start_process(char **argv, int helper_fd) {
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return not_started(errno, "fork", argv[0]);
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) {
    int error = errno;
    close(report[0]);
    close(report[1]);
    return not_started(error, "fork", argv[0]);
  }
  if (pid == 0) {
    restore_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    exec_child(argv, helper_fd, report[1]);
  }
  close(report[1]);
  if (helper_fd < 0) {
    forget_descriptors();
    close_bypass_socket();
  }
  int error = 0;
  ssize_t n;
  do {
    n = read(report[0], &error, sizeof error);
  } while (n < 0 && errno == EINTR);
  close(report[0]);
  if (n != (ssize_t)sizeof error) return pid;
  waitpid(pid, NULL, 0);
  return not_started(error, "exec", argv[0]);
}

/* start PROGRAM WORD…: starts a helper; its descriptor 3 comes with the request. Replies with its pid. */
enum outcome request_start(void) {
  if (request.fd_count == 0) return fail(EBADF, "start", request.words[1]);
  pid_t pid = start_process(&request.words[1], request.fds[0]);
  if (pid < 0) return FAILED;
  helpers[next_helper++ % MAX_HELPERS] = pid;
  send_number("ok", pid);
  return REPLIED;
}

void forget_helper(pid_t pid) {
  for (int i = 0; i < MAX_HELPERS; i++) {
    if (helpers[i] == pid) helpers[i] = 0;
  }
}

/* kill-helper PID: one that "start" has started */
enum outcome request_kill_helper(void) {
  pid_t pid = (pid_t)atol(request.words[1]);
  for (int i = 0; i < MAX_HELPERS; i++) {
    if (pid <= 0 || helpers[i] != pid) continue;
    return kill(pid, SIGKILL) == 0 ? DONE : fail(errno, "kill", request.words[1]);
  }
  return fail(ESRCH, "kill", request.words[1]);
}

/* more WORD…: the command line so far */
enum outcome request_more(void) {
  size_t size = sizeof *command_line * (size_t)(command_line_count + request.count);
  char **more = realloc(command_line, size);
  if (more == NULL) return fail(ENOMEM, "store the command line", NULL);
  command_line = more;
  for (int i = 1; i < request.count; i++) command_line[command_line_count++] = strdup(request.words[i]);
  command_line[command_line_count] = NULL;
  return DONE;
}

/* run WORD…: the rest of the command line; starts the command. Replies with its pid. */
enum outcome request_run(void) {
  if (request_more() != DONE) return FAILED;
  pid_t pid = start_process(command_line, -1);
  if (pid < 0) return FAILED;
  command = pid;
  send_number("ok", pid);
  return REPLIED;
}

/* idle: there is no command */
enum outcome request_idle(void) {
  forget_descriptors();
  close_bypass_socket();
  command = 0;
  return DONE;
}
