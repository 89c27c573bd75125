#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher/launcher.h"

/* The descriptors that the command inherits from the parent's caller, sockets of systemd above all. */
static int *inherited;
static int inherited_count;

/* Sockets that the parent has opened for the command, which it gets after those that it inherits, and their names. */
enum { MAX_ACTIVATED = 1024 };
static int activated[MAX_ACTIVATED];
static char *activated_names[MAX_ACTIVATED];
static int activated_count;

void find_inherited(void) {
  DIR *d = opendir("/proc/self/fd");
  if (d == NULL) return;
  for (struct dirent *e; (e = readdir(d)) != NULL;) {
    int fd = atoi(e->d_name);
    if (fd < 3 || fd == control || fd == dirfd(d)) continue;
    int *more = realloc(inherited, sizeof *inherited * (size_t)(inherited_count + 1));
    if (more == NULL) break;
    inherited = more;
    inherited[inherited_count++] = fd;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  closedir(d);
}

void close_inherited(void) {
  for (int i = 0; i < inherited_count; i++) close(inherited[i]);
  inherited_count = 0;
}

/* activate NAME: the socket comes with it */
enum outcome request_activate(void) {
  const char *name = request.words[1];
  if (activated_count == MAX_ACTIVATED) return fail(EMFILE, "activate", name);
  int fd = keep_request_fd();
  if (fd < 0) return fail(errno, "keep the socket", name);
  activated[activated_count] = fd;
  activated_names[activated_count++] = strdup(name);
  return DONE;
}

static void set_number(const char *variable, int number) {
  char text[24];
  snprintf(text, sizeof text, "%d", number);
  setenv(variable, text, 1);
}

static void append(char *text, size_t size, const char *name) {
  size_t used = strlen(text);
  snprintf(text + used, size - used, "%s%s", used > 0 ? ":" : "", name);
}

static void set_names(int before) {
  static char names[64 * 1024];
  const char *inherited_names = getenv("LISTEN_FDNAMES");
  if (before > 0 && inherited_names != NULL) append(names, sizeof names, inherited_names);
  for (int i = 0; i < before && inherited_names == NULL; i++) append(names, sizeof names, "unknown");
  for (int i = 0; i < activated_count; i++) append(names, sizeof names, activated_names[i]);
  setenv("LISTEN_FDNAMES", names, 1);
}

/* Gives the activated sockets the numbers after those that are inherited. Returns an errno. */
static int place_activated(int **others) {
  /* The parent passes these variables on only where they were for it. */
  const char *inherited_fds = getenv("LISTEN_FDS");
  int before = inherited_fds != NULL ? atoi(inherited_fds) : 0;
  int first = 3 + before, end = first + activated_count;
  for (; *others != NULL; others++) {
    if (**others >= 0 && (**others = fcntl(**others, F_DUPFD_CLOEXEC, end)) < 0) return errno;
  }
  for (int i = 0; i < activated_count; i++) {
    if ((activated[i] = fcntl(activated[i], F_DUPFD_CLOEXEC, end)) < 0) return errno;
  }
  for (int i = 0; i < activated_count; i++) {
    if (dup2(activated[i], first + i) < 0) return errno;
  }
  set_names(before);
  set_number("LISTEN_FDS", before + activated_count);
  set_number("LISTEN_PID", getpid());
  return 0;
}

int pass_on_descriptors(int **others) {
  for (int i = 0; i < inherited_count; i++) fcntl(inherited[i], F_SETFD, 0);
  /* sd_listen_fds(3) compares it with its own pid; the parent passes the variable on only where it was for it. */
  if (getenv("LISTEN_PID") != NULL) set_number("LISTEN_PID", getpid());
  return activated_count > 0 ? place_activated(others) : 0;
}

void forget_descriptors(void) {
  close_inherited();
  for (int i = 0; i < activated_count; i++) close(activated[i]);
  activated_count = 0;
}
