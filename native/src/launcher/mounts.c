#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/launcher.h"

static const struct {
  const char *name;
  unsigned long flags;
} propagations[] = {
    {"private", MS_PRIVATE}, {"rprivate", MS_PRIVATE | MS_REC}, {"shared", MS_SHARED}, {"rshared", MS_SHARED | MS_REC},
    {"slave", MS_SLAVE},     {"rslave", MS_SLAVE | MS_REC},
};

/* propagation MODE: of /, and with r… of all mounts below it */
enum outcome request_propagation(void) {
  const char *mode = request.words[1];
  for (size_t i = 0; i < sizeof propagations / sizeof *propagations; i++) {
    if (strcmp(mode, propagations[i].name) != 0) continue;
    if (mount(NULL, "/", NULL, propagations[i].flags, NULL) != 0) return fail(errno, "set propagation", mode);
    return DONE;
  }
  return fail(EINVAL, "set propagation", mode);
}

enum outcome request_mount_proc(void) {
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0) return DONE;
  return fail(errno, "mount /proc", NULL);
}

/* mount-sysfs: a new sysfs shows the new network namespace; the cgroup tree below it is kept. */
enum outcome request_mount_sysfs(void) {
  char cgroup[32];
  /* It stays mounted below the new sysfs, and is reached by its descriptor. */
  int fd = open("/sys/fs/cgroup", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int error = mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 ? 0 : errno;
  if (error == 0 && fd >= 0) {
    snprintf(cgroup, sizeof cgroup, "/proc/self/fd/%d", fd);
    if (mount(cgroup, "/sys/fs/cgroup", NULL, MS_BIND | MS_REC, NULL) != 0) error = errno;
  }
  if (fd >= 0) close(fd);
  return error != 0 ? fail(error, "mount /sys", NULL) : DONE;
}

/* mount-cgroup2: its root is that of the cgroup namespace. */
enum outcome request_mount_cgroup2(void) {
  if (mount("none", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0) return DONE;
  return fail(errno, "mount /sys/fs/cgroup", NULL);
}

/* bind-file SOURCE FILE replace|keep: with "replace" a copied-up link at FILE is replaced by a regular file first */
enum outcome request_bind_file(void) {
  const char *source = request.words[1], *file = request.words[2];
  /* Only in a directory that was copied up may a link be removed: elsewhere it is the host's own. */
  if (strcmp(request.words[3], "replace") == 0) {
    struct stat st;
    if (lstat(file, &st) == 0 && S_ISLNK(st.st_mode) && unlink(file) != 0) return fail(errno, "unlink", file);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd >= 0) close(fd);
  }
  if (mount(source, file, NULL, MS_BIND, NULL) != 0) return fail(errno, "bind mount on", file);
  return DONE;
}
