#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/launcher.h"

/* Undoes the mounts of cover() so far, and replies. */
static enum outcome roll_back(int error, const char *what, const char *object, const char *dir, const char *bind) {
  umount2(dir, MNT_DETACH);
  umount2(bind, MNT_DETACH);
  rmdir(bind);
  return fail(error, what, object);
}

/* Mounts a tmpfs over `dir`, and what was there on a new directory in it, whose path is stored in `hidden`. */
static enum outcome cover(const char *dir, char *hidden, size_t size) {
  char bind[] = "/tmp/rootlesskit-bXXXXXX";
  char mode[16];
  struct stat own;
  if (stat(dir, &own) != 0) return fail(errno, "copy up", dir);
  snprintf(mode, sizeof mode, "mode=%o", own.st_mode & 07777);
  if (mkdtemp(bind) == NULL) return fail(errno, "mkdtemp", bind);
  if (mount(dir, bind, NULL, MS_BIND | MS_REC, NULL) != 0) {
    int error = errno;
    rmdir(bind);
    return fail(error, "bind", dir);
  }
  if (mount("none", dir, "tmpfs", 0, mode) != 0) {
    int error = errno;
    umount2(bind, MNT_DETACH);
    rmdir(bind);
    return fail(error, "mount tmpfs on", dir);
  }
  snprintf(hidden, size, "%s/.roXXXXXX", dir);
  if (mkdtemp(hidden) == NULL) return roll_back(errno, "mkdtemp", hidden, dir, bind);
  if (mount(bind, hidden, NULL, MS_MOVE, NULL) != 0) return roll_back(errno, "move mount to", hidden, dir, bind);
  rmdir(bind);
  return DONE;
}

/* Links one entry of the hidden directory `d` in `dir`; links are copied. Returns an errno of symlink(2) only. */
static int link_entry(DIR *d, const char *name, const char *hidden_name, const char *path) {
  char target[PATH_MAX];
  struct stat st;
  if (fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  if (S_ISLNK(st.st_mode)) {
    ssize_t n = readlinkat(dirfd(d), name, target, sizeof target - 1);
    if (n < 0) return 0;
    target[n] = '\0';
  } else {
    snprintf(target, sizeof target, "%s/%s", hidden_name, name);
  }
  unlink(path);
  return symlink(target, path) == 0 ? 0 : errno;
}

/* copy-up DIR: a tmpfs over DIR, of its mode, with links to what it had, which stays reachable below DIR/.roNNN */
enum outcome request_copy_up(void) {
  const char *dir = request.words[1];
  char hidden[PATH_MAX];
  enum outcome covered = cover(dir, hidden, sizeof hidden);
  if (covered != DONE) return covered;

  DIR *d = opendir(hidden);
  if (d == NULL) return fail(errno, "opendir", hidden);
  const char *hidden_name = strrchr(hidden, '/') + 1;
  enum outcome outcome = DONE;
  for (struct dirent *e; outcome == DONE && (e = readdir(d)) != NULL;) {
    char path[PATH_MAX + 300];
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    int error = link_entry(d, e->d_name, hidden_name, path);
    if (error != 0) outcome = fail(error, "link", path);
  }
  closedir(d);
  return outcome;
}
