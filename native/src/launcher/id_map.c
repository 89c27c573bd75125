/*
 * Programs that write id maps have to run in the user namespace that the launcher leaves, so a process (the mapper) is
 * forked before that (from the launcher and not from the parent, which is large: to fork it takes longer than all that they
 * do). It reads the words of a "map" request from one pipe and writes the result to another: nothing, or the words of
 * "unmapped". When the launcher ends before, the mapper kills the programs: no other process can, since they are setuid.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/launcher.h"

int requested_namespaces;

/* The launcher's ends of the pipes. */
static int mapper_in = -1, mapper_out = -1;
static pid_t mapper;

/* In the mapper: newuidmap and newgidmap. */
static volatile pid_t programs[2];

static void kill_programs(int number) {
  (void)number;
  for (int i = 0; i < 2; i++) {
    if (programs[i] > 0) kill(programs[i], SIGKILL);
  }
  _exit(1);
}

/* Starts a program as programs[number]; its output can be read from *output. */
static void start_program(int number, char **command_line, int *output) {
  int out[2];
  sigset_t term;
  programs[number] = -1;
  if (pipe2(out, O_CLOEXEC) != 0) return;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  /* The handler of SIGTERM must know of this program as soon as it exists. */
  sigprocmask(SIG_BLOCK, &term, NULL);
  pid_t pid = programs[number] = fork();
  sigprocmask(SIG_UNBLOCK, &term, NULL);
  if (pid == 0) {
    signal(SIGTERM, SIG_DFL);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    dup2(out[1], 1);
    dup2(out[1], 2);
    execv(command_line[0], command_line);
    dprintf(2, "%s", strerror(errno));
    _exit(127);
  }
  close(out[1]);
  *output = out[0];
}

static void read_all(int fd, char *text, size_t size) {
  size_t used = 0;
  ssize_t n;
  while (used + 1 < size && ((n = read(fd, text + used, size - 1 - used)) > 0 || (n < 0 && errno == EINTR))) {
    if (n > 0) used += (size_t)n;
  }
  text[used] = '\0';
}

/* Reads the command lines of both programs, which an empty word separates. Exits where there are none. */
static void read_command_lines(int in, char **lines[2]) {
  static char text[MAX_PACKET];
  static char *words[MAX_WORDS + 1];
  int count = 0;
  ssize_t n;
  size_t size = 0;
  while (size < sizeof text - 1 && ((n = read(in, text + size, sizeof text - 1 - size)) > 0)) size += (size_t)n;
  lines[0] = words;
  lines[1] = NULL;
  for (size_t at = 0; at < size && count < MAX_WORDS; at += strlen(text + at) + 1) {
    words[count++] = text + at;
    if (text[at] != '\0') continue;
    words[count - 1] = NULL;
    lines[1] = &words[count];
  }
  words[count] = NULL;
  if (words[0] == NULL || lines[1] == NULL || lines[1][0] == NULL) _exit(0);
}

static void run_mapper(int in, int out) {
  char **lines[2];
  int outputs[2] = {-1, -1};
  read_command_lines(in, lines);
  for (int i = 0; i < 2; i++) start_program(i, lines[i], &outputs[i]);
  for (int i = 0; i < 2; i++) {
    char text[512] = "";
    int status = -1;
    if (programs[i] > 0) {
      read_all(outputs[i], text, sizeof text);
      while (waitpid(programs[i], &status, 0) < 0 && errno == EINTR) {
      }
      programs[i] = 0;
    }
    if (status == 0) continue;
    dprintf(out, "%d%c%d%c%s%c", i, 0, status, 0, text, 0);
    _exit(1);
  }
  _exit(0);
}

int fork_mapper(void) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return errno;
  pid_t launcher = getpid();
  mapper = fork();
  if (mapper < 0) return errno;
  if (mapper == 0) {
    /* A signal to the process group is for the parent, which ends the launcher, and so this process, in order. */
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGTERM, kill_programs);
    die_with(launcher, SIGTERM);
    close_inherited();
    close(control);
    close(in[1]);
    run_mapper(in[0], out[1]);
  }
  close(in[0]);
  close(out[1]);
  mapper_in = in[1];
  mapper_out = out[0];
  return 0;
}

static int is_mapped_early;

/* Returns when all is written, or the mapper is gone. */
static void start_mapper(const char *words, size_t size) {
  ssize_t n;
  for (size_t done = 0; done < size && ((n = write(mapper_in, words + done, size - done)) > 0 || errno == EINTR);) {
    if (n > 0) done += (size_t)n;
  }
  close(mapper_in);
  mapper_in = -1;
}

void map_early(const char *words, size_t size) {
  is_mapped_early = 1;
  start_mapper(words, size);
}

void end_mapper(void) {
  if (mapper_in >= 0) close(mapper_in);
  close(mapper_out);
  while (waitpid(mapper, NULL, 0) < 0 && errno == EINTR) {
  }
}

/* mapped NAMESPACES: the parent has written the id maps. Its reply is "ready". */
enum outcome request_mapped(void) {
  requested_namespaces = parse_namespaces(request.words[1]);
  return requested_namespaces < 0 ? fail(EINVAL, "unknown namespace", NULL) : REPLIED;
}

/*
 * map NAMESPACES PROGRAM WORD… "" PROGRAM WORD…: has the mapper run both programs, unless it runs them since the start.
 * Replies with "unmapped" where one fails; else its reply is "ready".
 */
enum outcome request_map(void) {
  char result[1024];
  const char *last = request.words[request.count - 1];
  size_t size = (size_t)(last + strlen(last) + 1 - request.words[2]);
  if (request_mapped() == FAILED) return FAILED;
  if (!is_mapped_early) start_mapper(request.words[2], size);
  struct pollfd fds[2] = {{mapper_out, POLLIN, 0}, {control, 0, 0}};
  while (poll(fds, 2, -1) < 0 && errno == EINTR) {
  }
  /* The parent is gone. */
  if (fds[1].revents != 0) return FAILED;
  read_all(mapper_out, result, sizeof result);
  if (result[0] == '\0') return REPLIED;
  const char *status = result + strlen(result) + 1;
  send_words("unmapped", result, status, status + strlen(status) + 1, NULL);
  return FAILED;
}
