#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/launcher.h"

static const struct {
  const char *name;
  int flag;
} namespace_flags[] = {
    {"mnt", CLONE_NEWNS},  {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID},
    {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
};

/* A network namespace that the command is not in; -1 without it. */
static int detached_netns = -1;

int parse_namespaces(char *list) {
  int flags = 0;
  for (char *name = strtok(list, ","); name != NULL; name = strtok(NULL, ",")) {
    int known = 0;
    for (size_t i = 0; i < sizeof namespace_flags / sizeof *namespace_flags; i++) {
      if (strcmp(name, namespace_flags[i].name) == 0) {
        flags |= namespace_flags[i].flag;
        known = 1;
      }
    }
    if (!known) return -1;
  }
  return flags;
}

int unshare_namespaces(int flags) {
  for (size_t i = 0; i < sizeof namespace_flags / sizeof *namespace_flags; i++) {
    if ((flags & namespace_flags[i].flag) == 0) continue;
    if (unshare(namespace_flags[i].flag) != 0) {
      reply_error(errno, "unshare", namespace_flags[i].name);
      return -1;
    }
  }
  return 0;
}

struct pin_result {
  int error;
  int pinning; /* whether the mount failed, and not unshare(2) */
};

static struct pin_result make_and_pin(const char *path) {
  if (unshare(CLONE_NEWNET) != 0) return (struct pin_result){errno, 0};
  if (mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL) != 0) return (struct pin_result){errno, 1};
  return (struct pin_result){0, 0};
}

/* detach-netns PATH: makes a network namespace, and pins it to a new file at PATH in this mount namespace */
enum outcome request_detach_netns(void) {
  const char *path = request.words[1];
  int file = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0400);
  if (file < 0) return fail(errno, "make", path);
  close(file);
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return fail(errno, "pipe", NULL);
  pid_t maker = fork();
  if (maker < 0) return fail(errno, "fork", NULL);
  if (maker == 0) {
    struct pin_result result = make_and_pin(path);
    ssize_t ignored = write(report[1], &result, sizeof result);
    (void)ignored;
    _exit(0);
  }
  close(report[1]);
  struct pin_result result = {EIO, 0};
  while (read(report[0], &result, sizeof result) < 0 && errno == EINTR) {
  }
  close(report[0]);
  waitpid(maker, NULL, 0);
  if (result.error == 0 && (detached_netns = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
    result = (struct pin_result){errno, 1};
  }
  if (result.error == 0) return DONE;
  if (!result.pinning) return fail(result.error, "unshare", "net");
  return fail(result.error, "pin the network namespace to", path);
}

int enter_detached_netns(void) { return detached_netns < 0 || setns(detached_netns, CLONE_NEWNET) == 0 ? 0 : errno; }

int in_netns(int (*task)(void)) {
  if (detached_netns < 0) return task();
  pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) {
    int error = enter_detached_netns();
    _exit(error != 0 ? error : task());
  }
  int status;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return errno;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}
