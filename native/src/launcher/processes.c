#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "front/node_environment.h"
#include "launcher/launcher.h"
#include "process/shown_words.h"
#include "sandbox/bypass_filter.h"

enum { STANDARD_STREAMS = 3 };

/* Prepares a new process for execve(2). `report` is needed until then. Returns an errno. */
typedef int (*prepare_fn)(int *report);

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

/* Programs that were started beside the command, and have not been reaped. */
static pid_t *programs;
static int program_count;

/* What the next program is started with: its working directory (-1 for the launcher's), and words of its environment. */
static int program_directory = -1;
static int program_variables;

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

/* In the command's process. Returns an errno. */
static int prepare_command(int *report) {
  int error = pass_on_descriptors((int *[]){report, &bypass_socket, NULL});
  if (bypass_socket >= 0) bypass_begin(bypass_socket);
  return error;
}

/* In a helper's process: the request's descriptor becomes its 3. Returns an errno. */
static int prepare_helper(int *report) {
  int fd = request.fds[0];
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

/* In a program's process: NAME=VALUE is set, NAME is removed, and an empty word removes all. Returns an errno. */
static int change_environment(char **words, int count) {
  for (int i = 0; i < count; i++) {
    int failed = *words[i] == '\0' ? clearenv() : strchr(words[i], '=') != NULL ? putenv(words[i]) : unsetenv(words[i]);
    if (failed != 0) return errno != 0 ? errno : EINVAL;
  }
  return 0;
}

/* In a program's process: the request's descriptors become its standard streams. Returns an errno. */
static int prepare_program(int *report) {
  if (*report < STANDARD_STREAMS) *report = fcntl(*report, F_DUPFD_CLOEXEC, STANDARD_STREAMS);
  for (int i = 0; i < STANDARD_STREAMS; i++) {
    if (dup2(request.fds[i], i) < 0) return errno;
  }
  if (program_directory >= 0 && fchdir(program_directory) != 0) return errno;
  return change_environment(command_line, program_variables);
}

/* In the new process. */
static _Noreturn void exec_child(char **argv, prepare_fn prepare, int report) {
  int error = prepare(&report);
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

/* Forks, prepares the new process, and executes a program in it. On failure replies with the error, and returns -1. */
static pid_t start_process(char **argv, prepare_fn prepare) {
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
    exec_child(argv, prepare, report[1]);
  }
  close(report[1]);
  if (prepare == prepare_command) {
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

/*
 * start PROGRAM WORD…: starts a helper, in a session of its own, and in the detached network namespace if there is one; its
 * descriptor 3 comes with the request. Replies with its pid.
 */
enum outcome request_start(void) {
  if (request.fd_count == 0) return fail(EBADF, "start", request.words[1]);
  pid_t pid = start_process(&request.words[1], prepare_helper);
  if (pid < 0) return FAILED;
  helpers[next_helper++ % MAX_HELPERS] = pid;
  send_number("ok", pid);
  return REPLIED;
}

static int find_program(pid_t pid) {
  for (int i = 0; i < program_count; i++) {
    if (programs[i] == pid) return i;
  }
  return -1;
}

void child_ended(pid_t pid, int status) {
  for (int i = 0; i < MAX_HELPERS; i++) {
    if (helpers[i] == pid) helpers[i] = 0;
  }
  int i = find_program(pid);
  if (i < 0) return;
  programs[i] = programs[--program_count];
  char number[24], value[24];
  snprintf(number, sizeof number, "%ld", (long)pid);
  snprintf(value, sizeof value, "%d", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  send_words("program-ended", number, WIFSIGNALED(status) ? "signaled" : "exited", value, NULL);
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

/* Adds the request's words from number `from` on to the command line. */
static enum outcome append_words(int from) {
  size_t size = sizeof *command_line * (size_t)(command_line_count + request.count);
  char **more = realloc(command_line, size);
  if (more == NULL) return fail(ENOMEM, "store the command line", NULL);
  command_line = more;
  for (int i = from; i < request.count; i++) command_line[command_line_count++] = strdup(request.words[i]);
  command_line[command_line_count] = NULL;
  return DONE;
}

/* more WORD…: the command line so far, of "run" or "program" */
enum outcome request_more(void) { return append_words(1); }

/* run WORD…: the rest of the command line; starts the command. Replies with its pid. */
enum outcome request_run(void) {
  if (request_more() != DONE) return FAILED;
  pid_t pid = start_process(command_line, prepare_command);
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

static void forget_command_line(void) {
  while (command_line_count > 0) free(command_line[--command_line_count]);
}

/* Starts the program of the command line. Replies with its pid. */
static enum outcome start_program(void) {
  if (program_variables < 0 || program_variables >= command_line_count) return fail(EINVAL, "start", "no program");
  pid_t *more = realloc(programs, sizeof *programs * (size_t)(program_count + 1));
  if (more == NULL) return fail(ENOMEM, "store the program", NULL);
  programs = more;
  pid_t pid = start_process(&command_line[program_variables], prepare_program);
  if (pid < 0) return FAILED;
  programs[program_count++] = pid;
  send_number("ok", pid);
  return REPLIED;
}

/*
 * program DIRECTORY COUNT WORD…: starts a program beside the command, in that directory (empty for the launcher's). The first
 * COUNT words, with those of "more" before, change its environment; the rest is its command line. Its standard streams come
 * with the request. Replies with its pid; "program-ended" follows.
 */
enum outcome request_program(void) {
  if (request.fd_count < STANDARD_STREAMS) return fail(EBADF, "start a program without standard streams", NULL);
  const char *directory = request.words[1];
  program_variables = atoi(request.words[2]);
  enum outcome outcome = append_words(3);
  if (outcome == DONE && *directory != '\0') {
    program_directory = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (program_directory < 0) outcome = fail(errno, "chdir", directory);
  }
  if (outcome == DONE) outcome = start_program();
  if (program_directory >= 0) close(program_directory);
  program_directory = -1;
  forget_command_line();
  return outcome;
}

/* program-signal PID NUMBER: to one that "program" has started */
enum outcome request_program_signal(void) {
  pid_t pid = (pid_t)atol(request.words[1]);
  if (find_program(pid) < 0) return fail(ESRCH, "signal", request.words[1]);
  return kill(pid, atoi(request.words[2])) == 0 ? DONE : fail(errno, "signal", request.words[1]);
}
