/*
 * front: the executable of each command of this package; becomes Node.js, which runs the command's script.
 *
 *   dist/bin/NAME [ARGUMENT…]      runs dist/bin/NAME.cjs
 *
 * Theory of operation. Before Node runs any JavaScript it has parsed options in the arguments, applied variables of the
 * environment, reset ignored signals, raised the limit of open files, and marked some of the inherited descriptors to be
 * closed on exec. All of these are the caller's, and meant for the program that rootless-run runs. So they bypass Node:
 *
 * - This program starts the launcher (launcher/main.c), which will be the command's parent: it inherits the caller's
 *   environment, signal dispositions and mask, limits and descriptors unchanged, and starts to make the namespaces while
 *   Node boots. Node gets the other end of its control socket.
 * - Then it executes Node in its own place, so that the pid that the caller knows stays: without arguments, with an
 *   environment without Node's own variables (node_environment.h), and without the descriptors that the launcher has.
 *
 * Node's script reads what it needs from an anonymous file, whose descriptor is in ROOTLESS_NET_FRONT=DESCRIPTOR:PID. It
 * consists of strings that end with a NUL each:
 *
 *   pid of the launcher, and its control socket           "0" and "0" where none was started
 *   numbers of the signals that are ignored, and of the descriptors that were inherited and are open      "1,2,15" and ""
 *   the number of arguments, the program's name included, and the arguments
 *   the variables that were removed from the environment, as NAME=VALUE
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front/node_environment.h"

enum { FIRST_FD = 3, LAST_SIGNAL = 64 };

static char name[NAME_MAX + 1];
/* This program's file, without links on the way. */
static char program[PATH_MAX];

static void fail(const char *what, const char *object) {
  fprintf(stderr, "%s: error: %s%s%s\n", name[0] != '\0' ? name : "rootless-net", what, object[0] != '\0' ? " " : "",
          object);
  /* The commands of RootlessKit have its exit code. */
  exit(strcmp(name, "rootlesskit") == 0 || strcmp(name, "rootlessctl") == 0 ? 1 : 125);
}

/* --- this program ----------------------------------------------------------------------------------------------- */

static void find_program(void) {
  ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
  if (n > 0) {
    program[n] = '\0';
  } else if (realpath((const char *)getauxval(AT_EXECFN), program) == NULL) {
    fail("cannot find the file of this program; is /proc mounted?", "");
  }
  const char *slash = strrchr(program, '/');
  snprintf(name, sizeof name, "%s", slash != NULL ? slash + 1 : program);
}

/* Path of a file of the package; this program is in dist/bin/ of it. */
static const char *package_file(char *path, size_t size, const char *file) {
  int directory = (int)strlen(program);
  for (int levels = 0; levels < 3 && directory > 0;) {
    if (program[--directory] == '/') levels++;
  }
  snprintf(path, size, "%.*s/%s", directory, program, file);
  return path;
}

/* --- what was recorded at the installation ------------------------------------------------------------------------ */

/* The node that the package was installed with. */
static char recorded_node[PATH_MAX];
/* Where the launcher is: a path, or one below the package. */
static char native_directory[PATH_MAX] = "native/build/Release";

/* Cuts the first line off, and copies it where it is not empty. Returns the rest. */
static char *take_line(char *text, char *copy, size_t size) {
  char *end = strchr(text, '\n');
  if (end != NULL) *end = '\0';
  if (*text != '\0') snprintf(copy, size, "%s", text);
  return end != NULL ? end + 1 : text + strlen(text);
}

/* scripts/install-front.mjs has written it. */
static void read_record(void) {
  char path[PATH_MAX + 64], text[2 * PATH_MAX];
  int fd = open(package_file(path, sizeof path, "native/build/front-paths"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return;
  text[n] = '\0';
  take_line(take_line(text, recorded_node, sizeof recorded_node), native_directory, sizeof native_directory);
}

/* --- the caller's descriptors and signals ------------------------------------------------------------------------------ */

static int *inherited;
static int inherited_count;

static void note_inherited(int fd) {
  int *more = realloc(inherited, sizeof *inherited * (size_t)(inherited_count + 1));
  if (more == NULL) fail("out of memory", "");
  inherited = more;
  inherited[inherited_count++] = fd;
}

/* Before anything is opened here. */
static void find_inherited(void) {
  DIR *d = opendir("/proc/self/fd");
  if (d == NULL) {
    long end = sysconf(_SC_OPEN_MAX);
    for (int fd = FIRST_FD; fd < end; fd++) {
      if (fcntl(fd, F_GETFD) >= 0) note_inherited(fd);
    }
    return;
  }
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    int fd = atoi(e->d_name);
    if (fd >= FIRST_FD && fd != dirfd(d)) note_inherited(fd);
  }
  closedir(d);
}

static void close_inherited(void) {
  for (int i = 0; i < inherited_count; i++) close(inherited[i]);
  inherited_count = 0;
}

static int is_ignored(int number) {
  struct sigaction action;
  return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* --- the launcher ------------------------------------------------------------------------------------------------ */

enum use { NO_STACK, SERVE, RUN };

/* The kind of command line, as far as it matters here; JavaScript decides, and works with either guess. */
static enum use use_of(int argc, char **argv) {
  static const char *const others[] = {"__complete", "completion", "doctor", "ls",        "stop",
                                       "systemd",    "--help",     "-h",     "--version", "-v"};
  int is_run = strcmp(name, "rootless-run") == 0;
  if (argc < 2 || (!is_run && strcmp(name, "rootlesskit") != 0)) return NO_STACK;
  for (size_t i = is_run ? 0 : 6; i < sizeof others / sizeof *others; i++) {
    if (strcmp(argv[1], others[i]) == 0) return NO_STACK;
  }
  return is_run && strcmp(argv[1], "serve") == 0 ? SERVE : RUN;
}

/* Whether the ids may be mapped before JavaScript has read the options: none of them is about that. */
static int maps_early(int argc, char **argv) {
  for (int i = 1; i < argc; i++) {
    if (strstr(argv[i], "subid-source") != NULL) return 0;
  }
  return 1;
}

/* Starts it. Returns its pid, and this end of its control socket; 0 on failure, which JavaScript reports. */
static pid_t start_launcher(int *control, int early) {
  char relative[PATH_MAX + 64], launcher[2 * PATH_MAX + 64], theirs[16], parent[24];
  int pair[2];
  snprintf(relative, sizeof relative, "%s/launcher", native_directory);
  if (relative[0] == '/') {
    memcpy(launcher, relative, sizeof relative);
  } else {
    package_file(launcher, sizeof launcher, relative);
  }
  if (access(launcher, X_OK) != 0) return 0;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return 0;
  snprintf(theirs, sizeof theirs, "%d", pair[1]);
  snprintf(parent, sizeof parent, "%ld", (long)getpid());
  pid_t pid = fork();
  if (pid == 0) {
    fcntl(pair[1], F_SETFD, 0);
    execl(launcher, launcher, theirs, parent, early ? "map-early" : NULL, (char *)NULL);
    _exit(127);
  }
  close(pair[1]);
  if (pid < 0) {
    close(pair[0]);
    return 0;
  }
  /* Node keeps it. */
  fcntl(pair[0], F_SETFD, 0);
  *control = pair[0];
  return pid;
}

/* --- the report for Node's script -------------------------------------------------------------------------------- */

static void put(FILE *file, const char *text) { fwrite(text, 1, strlen(text) + 1, file); }

static void put_number(FILE *file, long number) { fprintf(file, "%ld%c", number, 0); }

static void put_list(FILE *file, const int *numbers, int count) {
  for (int i = 0; i < count; i++) fprintf(file, "%s%d", i > 0 ? "," : "", numbers[i]);
  fputc(0, file);
}

/* Returns the descriptor of the file. */
static int write_report(pid_t launcher, int control, int argc, char **argv, char **env) {
  int ignored[LAST_SIGNAL], ignored_count = 0;
  for (int number = 1; number <= LAST_SIGNAL; number++) {
    if (is_ignored(number)) ignored[ignored_count++] = number;
  }
  int fd = memfd_create("rootless-net-front", 0);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
  if (file == NULL) fail("cannot make a file in memory:", strerror(errno));
  put_number(file, launcher);
  put_number(file, control);
  put_list(file, ignored, ignored_count);
  put_list(file, inherited, inherited_count);
  put_number(file, argc);
  for (int i = 0; i < argc; i++) put(file, argv[i]);
  for (char **entry = env; *entry != NULL; entry++) {
    if (is_node_variable(*entry)) put(file, *entry);
  }
  if (fflush(file) != 0) fail("cannot write to memory:", strerror(errno));
  return fd;
}

/* --- Node.js ----------------------------------------------------------------------------------------------------- */

/*
 * Executes that file as Node; returns on failure. The first argument is the name of the command, so that pidof(1) finds it;
 * but a wrapper of Node (a version manager) may depend on its own name.
 */
static void execute(const char *file, const char *script, char *called, char **env) {
  char real[PATH_MAX];
  if (access(file, X_OK) != 0 || realpath(file, real) == NULL) return;
  const char *base = strrchr(real, '/') + 1;
  int is_node = strcmp(base, "node") == 0 || strcmp(base, "nodejs") == 0;
  execve(file, (char *const[]){is_node ? called : "node", (char *)script, NULL}, env);
}

/* The first in PATH, like `#!/usr/bin/env node`. */
static void execute_from_path(const char *script, char *called, char **env) {
  const char *path = getenv("PATH");
  if (path == NULL) path = "/usr/local/bin:/usr/bin:/bin";
  for (;;) {
    char file[PATH_MAX];
    int length = (int)strcspn(path, ":");
    int n = snprintf(file, sizeof file, "%.*s%snode", length, path, length > 0 ? "/" : "./");
    if (n < (int)sizeof file) execute(file, script, called, env);
    if (path[length] == '\0') return;
    path += length + 1;
  }
}

/* Node aborts or crashes below that, with messages of its own. */
enum { LEAST_FILES = 32 };
/* Descriptors of some 4,000 ports; the table has 32 KiB then. */
enum { ROOM = 4096 };

static void check_limits(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max >= LEAST_FILES) return;
  char text[160];
  snprintf(text, sizeof text,
           "too few open files are allowed, %lu of the %d that are needed; hint: raise the limit (ulimit -n)",
           (unsigned long)limit.rlim_max, LEAST_FILES);
  fail(text, "");
}

/* The kernel enlarges a process's table of descriptors as they are used, and waits for all CPUs (RCU) each time if there are
 * threads: 50 ms in all for the first 1,000 ports. Now there is one thread; the table stays as large, also across execve(2). */
static void make_room_for_descriptors(int any) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  struct rlimit raised = limit;
  if (raised.rlim_cur < ROOM) raised.rlim_cur = limit.rlim_max < ROOM ? limit.rlim_max : ROOM;
  if (setrlimit(RLIMIT_NOFILE, &raised) != 0) return;
  int last = fcntl(any, F_DUPFD_CLOEXEC, (int)(raised.rlim_cur < ROOM ? raised.rlim_cur : ROOM) - 1);
  if (last >= 0) close(last);
  setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv, char **env) {
  find_program();
  find_inherited();
  read_record();
  if (argc < 1) fail("it was started without a name", "");

  char script[sizeof program + 4];
  snprintf(script, sizeof script, "%s.cjs", program);
  check_limits();
  if (access(script, R_OK) != 0) fail("a part of the package is missing; install it again:", script);

  int control = 0;
  enum use use = use_of(argc, argv);
  pid_t launcher = use == NO_STACK ? 0 : start_launcher(&control, maps_early(argc, argv));
  /* They are the command's; a service, which has none, may inherit sockets to publish. */
  if (launcher > 0 && use == RUN) close_inherited();

  int report = write_report(launcher, control, argc, argv, env);
  if (launcher > 0) make_room_for_descriptors(report);
  char variable[64];
  snprintf(variable, sizeof variable, "ROOTLESS_NET_FRONT=%d:%ld", report, (long)getpid());
  char **node_env = environment_for_node(env, variable);
  if (node_env == NULL) fail("out of memory", "");
  /* If children are reaped automatically, the launcher's end could not be waited for until Node has reset this itself. */
  signal(SIGCHLD, SIG_DFL);

  const char *chosen = getenv("ROOTLESS_NET_NODE");
  if (chosen != NULL && chosen[0] != '\0') {
    execute(chosen, script, argv[0], node_env);
    fail("cannot execute the Node.js that ROOTLESS_NET_NODE names:", chosen);
  }
  execute_from_path(script, argv[0], node_env);
  if (recorded_node[0] != '\0') execute(recorded_node, script, argv[0], node_env);
  fail("cannot find Node.js in PATH; install it, or set ROOTLESS_NET_NODE to its path", "");
}
