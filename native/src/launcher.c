/*
 * launcher: makes the namespaces, sets them up as it is told, runs the command in them.
 *
 *   launcher CONTROL-FD PARENT-PID NAMESPACE[,NAMESPACE…]        (user mnt net pid ipc uts cgroup)
 *   launcher die-with PARENT-PID COMMAND…      runs a helper of the parent in the parent's namespaces, to die with it
 *
 * Other descriptors that are open are the command's: it alone inherits them.
 *
 * Theory of operation. The parent (node) starts this program with one end of a SOCK_SEQPACKET socketpair. Packets are
 * words that end with a NUL each. The launcher speaks first; then the parent gives orders, and each order is answered
 * with "ok" (and words) or with "error", an errno, and what failed.
 *
 *   launcher: unshared            the user namespace is made; the parent writes the id maps now …
 *   parent:   mapped              … or has them written; the launcher becomes root in it, and makes the other namespaces
 *          or map PROGRAM WORD… "" PROGRAM WORD…       runs newuidmap(1) and newgidmap(1), side by side; then as "mapped"
 *   launcher: unmapped NUMBER STATUS OUTPUT            which of the two failed (0 or 1), its wait status, what it said
 *   launcher: ready PID           as the host counts; PID is in all of them (it is the launcher, or its child with pid)
 *   parent:   orders, see the table at the end of this file; "run" is the last one, or "idle" where there is no command
 *   launcher: exited CODE | signaled NUMBER     the command is over; the launcher ends after it
 *
 * While the command runs the launcher is the reaper of everything below it. It passes on signals. When the command
 * ends, or the parent's end of the socket closes (also by SIGKILL), it kills what is left below it, however deep and
 * whether daemonised or not, and ends. With a pid namespace the kernel does the same when its first process ends.
 *
 * With a detached network namespace the launcher and the command stay in the host's; what has to be in the other one is
 * done in a process that joins it for that.
 *
 * Order matters: pdeathsig is cleared whenever credentials change, so it is set again after that (prctl(2)).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <limits.h>
#include <dirent.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bypass_filter.h"
#include "large_segments.h"

enum { MAX_PACKET = 192 * 1024, MAX_WORDS = 4096, MAX_FDS = 4 };

static int control = -1;
static char packet[MAX_PACKET];
static char *words[MAX_WORDS + 1];
static int word_count;
static int packet_fds[MAX_FDS];
static int packet_fd_count;

/* --- the control socket ------------------------------------------------------------------------------------------ */

static void say(const char *first, ...) {
  char out[1024];
  size_t used = 0;
  va_list args;
  va_start(args, first);
  for (const char *word = first; word != NULL; word = va_arg(args, const char *)) {
    size_t length = strlen(word) + 1;
    if (used + length > sizeof out) break;
    memcpy(out + used, word, length);
    used += length;
  }
  va_end(args);
  while (send(control, out, used, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

static void say_number(const char *word, long number) {
  char text[24];
  snprintf(text, sizeof text, "%ld", number);
  say(word, text, NULL);
}

/* Answers an order that failed: errno, what was done ("mount tmpfs on"), and to what, or NULL. */
static void say_error(int error, const char *what, const char *object) {
  char code[16];
  snprintf(code, sizeof code, "%d", error);
  say("error", code, what, object, NULL);
}

/* Reads one packet into `words`. 0 at the end of the socket. */
static int hear(void) {
  struct iovec iov = {packet, sizeof packet - 1};
  char cmsg_space[CMSG_SPACE(sizeof(int) * MAX_FDS)];
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = cmsg_space, .msg_controllen = sizeof cmsg_space};
  ssize_t n;
  do {
    n = recvmsg(control, &msg, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  packet_fd_count = 0;
  word_count = 0;
  if (n <= 0) return 0;
  /* The parent cuts what it says so that it fits; something else has gone wrong then. */
  if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < count && packet_fd_count < MAX_FDS; i++) {
      memcpy(&packet_fds[packet_fd_count++], CMSG_DATA(c) + sizeof(int) * (size_t)i, sizeof(int));
    }
  }
  packet[n] = '\0';
  for (ssize_t at = 0; at < n && word_count < MAX_WORDS;) {
    words[word_count++] = packet + at;
    at += (ssize_t)strlen(packet + at) + 1;
    if (word_count == MAX_WORDS && at < n) return 0;
  }
  words[word_count] = NULL;
  return 1;
}

static void close_packet_fds(void) {
  for (int i = 0; i < packet_fd_count; i++) close(packet_fds[i]);
  packet_fd_count = 0;
}

/* --- namespaces -------------------------------------------------------------------------------------------------- */

static const struct {
  const char *name;
  int flag;
} namespace_flags[] = {
    {"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},   {"net", CLONE_NEWNET},       {"pid", CLONE_NEWPID},
    {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP},
};

static int parse_namespaces(char *list) {
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

static void die_with(pid_t parent, int death_signal) {
  prctl(PR_SET_PDEATHSIG, death_signal);
  /* It may have died before. In a new pid namespace an outside parent shows as 0. */
  pid_t now = getppid();
  if (now != parent && now != 0) _exit(1);
}

/* --- orders ------------------------------------------------------------------------------------------------------ */

static int fail(int error, const char *what, const char *object) {
  say_error(error, what, object);
  return -1;
}

/* --- a network namespace that the command is not in */

static int netns_fd = -1;

/* detach-netns PATH: makes a network namespace, and pins it to a new file at PATH in this mount namespace */
static int order_detach_netns(void) {
  int file = open(words[1], O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0400);
  if (file < 0) return fail(errno, "make", words[1]);
  close(file);
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return fail(errno, "pipe", NULL);
  pid_t maker = fork();
  if (maker < 0) return fail(errno, "fork", NULL);
  if (maker == 0) {
    struct { int error, pinning; } said = {0, 0};
    if (unshare(CLONE_NEWNET) != 0) {
      said.error = errno;
    } else if (mount("/proc/self/ns/net", words[1], NULL, MS_BIND, NULL) != 0) {
      said.error = errno;
      said.pinning = 1;
    }
    ssize_t ignored = write(report[1], &said, sizeof said);
    (void)ignored;
    _exit(0);
  }
  close(report[1]);
  struct { int error, pinning; } said = {EIO, 0};
  while (read(report[0], &said, sizeof said) < 0 && errno == EINTR) {
  }
  close(report[0]);
  waitpid(maker, NULL, 0);
  if (said.error == 0 && (netns_fd = open(words[1], O_RDONLY | O_CLOEXEC)) < 0) {
    said.error = errno;
    said.pinning = 1;
  }
  if (said.error == 0) return 0;
  return said.pinning ? fail(said.error, "pin the network namespace to", words[1]) : fail(said.error, "unshare", "net");
}

/* Does `task`, which returns an errno, in the network namespace that is set up: a detached one, or our own. */
static int in_netns(int (*task)(void)) {
  if (netns_fd < 0) return task();
  pid_t pid = fork();
  if (pid < 0) return errno;
  if (pid == 0) _exit(setns(netns_fd, CLONE_NEWNET) == 0 ? task() : errno);
  int status;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return errno;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

static int bring_up_loopback(void) {
  struct ifreq ifr = {0};
  strcpy(ifr.ifr_name, "lo");
  ifr.ifr_flags = IFF_UP | IFF_RUNNING;
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (s < 0) return errno;
  int error = ioctl(s, SIOCSIFFLAGS, &ifr) == 0 ? 0 : errno;
  close(s);
  return error;
}

static int order_loopback_up(void) {
  int error = in_netns(bring_up_loopback);
  return error ? fail(error, "bring up lo", NULL) : 0;
}

/*
 * congestion-control NAME…: the first that this network namespace may use, where its default paces (bbr; inherited from
 * the initial namespace, not from the parent's). Pacing makes loopback several times slower.
 */
static int choose_congestion_control(void) {
  char now[64] = "";
  int fd = open("/proc/sys/net/ipv4/tcp_congestion_control", O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  ssize_t n = read(fd, now, sizeof now - 1);
  int error = n < 0 ? errno : 0;
  if (n > 0 && strncmp(now, "bbr", 3) == 0) {
    for (int i = 1; i < word_count; i++) {
      error = pwrite(fd, words[i], strlen(words[i]), 0) < 0 ? errno : 0;
      if (error == 0) break;
    }
  }
  close(fd);
  return error;
}

static int order_congestion_control(void) {
  int error = in_netns(choose_congestion_control);
  return error ? fail(error, "choose the congestion control", NULL) : 0;
}

static int order_large_segments(void) {
  int error = in_netns(allow_large_segments);
  return error ? fail(error, "let lo carry large segments", NULL) : 0;
}

/*
 * tap NAME keep: a tap device that is there already when a program attaches to it, and stays when that ends, so that its
 * end need not wait until the kernel has taken the device apart. It goes with the network namespace, or with "drop".
 */
static int keep_tap(void) {
  struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  if (strlen(words[1]) >= sizeof ifr.ifr_name) return ENAMETOOLONG;
  strcpy(ifr.ifr_name, words[1]);
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  int error = ioctl(fd, TUNSETIFF, &ifr) == 0 && ioctl(fd, TUNSETPERSIST, strcmp(words[2], "keep") == 0) == 0 ? 0 : errno;
  close(fd);
  return error;
}

static int order_tap(void) {
  int error = in_netns(keep_tap);
  return error ? fail(error, "make the tap device", words[1]) : 0;
}

/* 0 where the main routing table has an IPv4 default route, ENOENT where not (proc(5), /proc/PID/net/route). */
static int find_default_route(void) {
  char line[512], destination[32];
  FILE *f = fopen("/proc/thread-self/net/route", "re");
  if (f == NULL) return errno;
  int error = ENOENT;
  while (error != 0 && fgets(line, sizeof line, f) != NULL) {
    if (sscanf(line, "%*s %31s", destination) == 1 && strcmp(destination, "00000000") == 0) error = 0;
  }
  fclose(f);
  return error;
}

static int order_has_default_route(void) {
  int error = in_netns(find_default_route);
  if (error != 0 && error != ENOENT) return fail(error, "read the routes", NULL);
  say("ok", error == 0 ? "yes" : "no", NULL);
  return 1;
}

static const struct {
  const char *name;
  unsigned long flags;
} propagations[] = {
    {"private", MS_PRIVATE}, {"rprivate", MS_PRIVATE | MS_REC}, {"shared", MS_SHARED},
    {"rshared", MS_SHARED | MS_REC}, {"slave", MS_SLAVE}, {"rslave", MS_SLAVE | MS_REC},
};

/* propagation MODE: of / and with r… of all below it */
static int order_propagation(void) {
  for (size_t i = 0; i < sizeof propagations / sizeof *propagations; i++) {
    if (strcmp(words[1], propagations[i].name) != 0) continue;
    if (mount(NULL, "/", NULL, propagations[i].flags, NULL) != 0) return fail(errno, "set propagation", words[1]);
    return 0;
  }
  return fail(EINVAL, "set propagation", words[1]);
}

static int order_mount_proc(void) {
  if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0) return 0;
  return fail(errno, "mount /proc", NULL);
}

/* A fresh sysfs shows the new network namespace; the cgroup tree below it is kept. */
static int order_mount_sysfs(void) {
  char keep[] = "/tmp/rootless-net-sys-XXXXXX";
  int has_cgroup = access("/sys/fs/cgroup", F_OK) == 0;
  if (has_cgroup) {
    if (mkdtemp(keep) == NULL) return fail(errno, "mkdtemp", keep);
    if (mount("/sys/fs/cgroup", keep, NULL, MS_BIND | MS_REC, NULL) != 0) {
      int error = errno;
      rmdir(keep);
      return fail(error, "bind /sys/fs/cgroup", NULL);
    }
  }
  int error = 0;
  if (mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) {
    error = errno;
  } else if (has_cgroup && mount(keep, "/sys/fs/cgroup", NULL, MS_MOVE, NULL) != 0 &&
             mount(keep, "/sys/fs/cgroup", NULL, MS_BIND | MS_REC, NULL) != 0) {
    error = errno;
  }
  if (has_cgroup) {
    umount2(keep, MNT_DETACH);
    rmdir(keep);
  }
  return error ? fail(error, "mount /sys", NULL) : 0;
}

/* A cgroup2 whose root is that of the cgroup namespace. */
static int order_mount_cgroup2(void) {
  if (mount("none", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0) return 0;
  return fail(errno, "mount /sys/fs/cgroup", NULL);
}

/* bind SOURCE FILE: a copied-up link at FILE makes way for a regular file first */
static int order_bind_file(void) {
  struct stat st;
  if (lstat(words[2], &st) == 0 && S_ISLNK(st.st_mode)) {
    /* Only where the directory was copied up may the link go: elsewhere it is the host's own. */
    if (strcmp(words[3], "replace") == 0) {
      if (unlink(words[2]) != 0) return fail(errno, "unlink", words[2]);
    }
  }
  if (strcmp(words[3], "replace") == 0) {
    int fd = open(words[2], O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd >= 0) close(fd);
  }
  if (mount(words[1], words[2], NULL, MS_BIND, NULL) != 0) return fail(errno, "bind mount on", words[2]);
  return 0;
}

/* Takes back what order_copy_up() has mounted so far, and answers. */
static int fail_copy_up(int error, const char *what, const char *object, const char *dir, const char *bind) {
  umount2(dir, MNT_DETACH);
  umount2(bind, MNT_DETACH);
  rmdir(bind);
  return fail(error, what, object);
}

/* copy-up DIR: a tmpfs over DIR, of its mode, with links to what it had, which stays reachable below DIR/.roNNN */
static int order_copy_up(void) {
  const char *dir = words[1];
  char bind[] = "/tmp/rootlesskit-bXXXXXX";
  char hidden[PATH_MAX], mode[16];
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
  snprintf(hidden, sizeof hidden, "%s/.roXXXXXX", dir);
  if (mkdtemp(hidden) == NULL) return fail_copy_up(errno, "mkdtemp", hidden, dir, bind);
  if (mount(bind, hidden, NULL, MS_MOVE, NULL) != 0) return fail_copy_up(errno, "move mount to", hidden, dir, bind);
  rmdir(bind);

  DIR *d = opendir(hidden);
  if (d == NULL) return fail(errno, "opendir", hidden);
  const char *hidden_name = strrchr(hidden, '/') + 1;
  int rc = 0;
  for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
    char link[PATH_MAX + 300], target[PATH_MAX];
    struct stat st;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    snprintf(link, sizeof link, "%s/%s", dir, e->d_name);
    if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISLNK(st.st_mode)) {
      ssize_t n = readlinkat(dirfd(d), e->d_name, target, sizeof target - 1);
      if (n < 0) continue;
      target[n] = '\0';
    } else {
      snprintf(target, sizeof target, "%s/%s", hidden_name, e->d_name);
    }
    unlink(link);
    if (symlink(target, link) != 0) rc = fail(errno, "link", link);
  }
  closedir(d);
  return rc;
}

/* The socket to the parent's end of the port driver bypass, see bypass_filter.h; -1 without it. */
static int bypass_socket = -1;

/* bypass: the command is to run under the filter; the socket comes with it */
static int order_bypass(void) {
  if (packet_fd_count == 0) return fail(EBADF, "bypass", NULL);
  bypass_socket = fcntl(packet_fds[0], F_DUPFD_CLOEXEC, 3);
  return bypass_socket < 0 ? fail(errno, "keep the socket of the bypass", NULL) : 0;
}

/* --- processes --------------------------------------------------------------------------------------------------- */

static sigset_t original_mask;

static void child_starts(int death_signal) {
  sigprocmask(SIG_SETMASK, &original_mask, NULL);
  prctl(PR_SET_PDEATHSIG, death_signal);
}

/* What execvp(3) failed with; where the file is there, it is its interpreter or loader that is not. */
static int exec_error(const char *file) {
  int error = errno;
  return error == ENOENT && strchr(file, '/') != NULL && access(file, F_OK) == 0 ? ELIBACC : error;
}

/* The descriptors that the command inherits from whoever started the parent, sockets of systemd above all. */
static int *inherited;
static int inherited_count;

/* What is open beside the control socket is the command's: nothing else that is started is to have it. */
static void find_inherited(void) {
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

static void keep_inherited(void) {
  for (int i = 0; i < inherited_count; i++) fcntl(inherited[i], F_SETFD, 0);
  /* sd_listen_fds(3) wants to see its own pid; the parent passes the variable on only where it was for it. */
  if (getenv("LISTEN_PID") != NULL) {
    char pid[24];
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("LISTEN_PID", pid, 1);
  }
}

/* Sockets that the parent has opened for the command, which it gets behind those that it inherits, and their names. */
enum { MAX_ACTIVATED = 1024 };
static int activated[MAX_ACTIVATED];
static char *activated_names[MAX_ACTIVATED];
static int activated_count;

/* activate NAME: the socket comes with it */
static int order_activate(void) {
  if (packet_fd_count == 0) return fail(EBADF, "activate", words[1]);
  if (activated_count == MAX_ACTIVATED) return fail(EMFILE, "activate", words[1]);
  int fd = fcntl(packet_fds[0], F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return fail(errno, "keep the socket", words[1]);
  activated[activated_count] = fd;
  activated_names[activated_count++] = strdup(words[1]);
  return 0;
}

static void append(char *text, size_t size, const char *name) {
  size_t used = strlen(text);
  snprintf(text + used, size - used, "%s%s", used > 0 ? ":" : "", name);
}

/*
 * In the command's process: gives the sockets their numbers, and says so (sd_listen_fds(3)). `others` are descriptors that
 * are still needed until exec; they get out of the way. Returns an errno.
 */
static int place_activated(int **others) {
  static char names[64 * 1024];
  char number[24];
  /* The parent passes these variables on only where they were for it. */
  const char *inherited_fds = getenv("LISTEN_FDS"), *inherited_names = getenv("LISTEN_FDNAMES");
  int before = inherited_fds != NULL ? atoi(inherited_fds) : 0;
  int first = 3 + before, behind = first + activated_count;
  for (; *others != NULL; others++) {
    if (**others >= 0 && (**others = fcntl(**others, F_DUPFD_CLOEXEC, behind)) < 0) return errno;
  }
  for (int i = 0; i < activated_count; i++) {
    if ((activated[i] = fcntl(activated[i], F_DUPFD_CLOEXEC, behind)) < 0) return errno;
  }
  for (int i = 0; i < activated_count; i++) {
    if (dup2(activated[i], first + i) < 0) return errno;
  }
  if (before > 0 && inherited_names != NULL) append(names, sizeof names, inherited_names);
  for (int i = 0; i < before && inherited_names == NULL; i++) append(names, sizeof names, "unknown");
  for (int i = 0; i < activated_count; i++) append(names, sizeof names, activated_names[i]);
  setenv("LISTEN_FDNAMES", names, 1);
  snprintf(number, sizeof number, "%d", before + activated_count);
  setenv("LISTEN_FDS", number, 1);
  snprintf(number, sizeof number, "%d", getpid());
  setenv("LISTEN_PID", number, 1);
  return 0;
}

/* Once the command has them: a listener goes with those who hold it. */
static void forget_activated(void) {
  for (int i = 0; i < activated_count; i++) close(activated[i]);
  activated_count = 0;
  if (bypass_socket >= 0) close(bypass_socket);
  bypass_socket = -1;
}

/*
 * Forks and execs the command, or a helper with `helper_fd` as its descriptor 3, in a session of its own, where no
 * terminal's signals reach it, and in the detached network namespace if there is one. On failure sets errno.
 */
static pid_t start(char **command, int helper_fd, int *exec_failed) {
  int report[2];
  *exec_failed = 0;
  if (pipe2(report, O_CLOEXEC) != 0) return -1;
  pid_t parent = getpid();
  pid_t pid = fork();
  if (pid < 0) {
    int error = errno;
    close(report[0]);
    close(report[1]);
    errno = error;
    return -1;
  }
  if (pid == 0) {
    child_starts(SIGKILL);
    if (getppid() != parent) _exit(1);
    int error = 0;
    if (helper_fd < 0) {
      keep_inherited();
      if (activated_count > 0) error = place_activated((int *[]){&report[1], &bypass_socket, NULL});
      if (bypass_socket >= 0) bypass_begin(bypass_socket);
    } else {
      if (report[1] == 3) report[1] = fcntl(3, F_DUPFD_CLOEXEC, 4);
      if (helper_fd == 3) {
        fcntl(3, F_SETFD, 0);
      } else {
        dup2(helper_fd, 3);
      }
      setsid();
      if (netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) != 0) error = errno;
    }
    if (error == 0) {
      execvp(command[0], command);
      error = exec_error(command[0]);
    }
    ssize_t ignored = write(report[1], &error, sizeof error);
    (void)ignored;
    _exit(error == ENOENT ? 127 : 126);
  }
  close(report[1]);
  if (helper_fd < 0) forget_activated();
  int error = 0;
  ssize_t n;
  do {
    n = read(report[0], &error, sizeof error);
  } while (n < 0 && errno == EINTR);
  close(report[0]);
  if (n == (ssize_t)sizeof error) {
    waitpid(pid, NULL, 0);
    *exec_failed = 1;
    errno = error;
    return -1;
  }
  return pid;
}

/* Kills everything below this process. As its subreaper it inherits the orphans, so this ends when there are none. */
static void kill_descendants(void) {
  char path[64];
  /* The first process of a pid namespace leaves this to the kernel; nor need /proc count as it does. */
  if (getpid() == 1) return;
  snprintf(path, sizeof path, "/proc/self/task/%ld/children", syscall(SYS_gettid));
  for (;;) {
    FILE *f = fopen(path, "re");
    if (f == NULL) return;
    long pid;
    while (fscanf(f, "%ld", &pid) == 1) kill((pid_t)pid, SIGKILL);
    fclose(f);
    pid_t gone;
    do {
      gone = waitpid(-1, NULL, 0);
    } while (gone < 0 && errno == EINTR);
    if (gone < 0) return; /* ECHILD */
  }
}

/*
 * A terminal sends its signals to the whole foreground group: the command has them already, and so do the parent and
 * we. The parent passes on what it gets, and would make two of one. So a signal that came from the kernel (a terminal)
 * takes the next passed-on one of that number with it, within a second.
 */
static struct timespec from_terminal[65];

static void note_terminal_signal(int number) {
  if (number > 0 && number < 65) clock_gettime(CLOCK_MONOTONIC, &from_terminal[number]);
}

static int had_it_from_terminal(int number) {
  struct timespec now;
  if (number < 1 || number > 64 || from_terminal[number].tv_sec == 0) return 0;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long ms = (now.tv_sec - from_terminal[number].tv_sec) * 1000 + (now.tv_nsec - from_terminal[number].tv_nsec) / 1000000;
  from_terminal[number].tv_sec = 0;
  return ms < 1000;
}

static int signals_fd = -1;

/* Handles the signals that wait. Sets *status when the command ended. */
static int read_signals(pid_t command, int *status) {
  struct signalfd_siginfo info;
  int over = 0;
  while (read(signals_fd, &info, sizeof info) == (ssize_t)sizeof info) {
    int number = (int)info.ssi_signo;
    if (number == SIGCHLD) {
      pid_t pid;
      int s;
      while ((pid = waitpid(-1, &s, WNOHANG)) > 0) {
        if (pid == command) {
          *status = s;
          over = 1;
        }
      }
    } else if (info.ssi_code == SI_KERNEL && (number == SIGINT || number == SIGQUIT || number == SIGWINCH)) {
      note_terminal_signal(number);
    } else if (command > 0) {
      kill(command, number);
    } else if (number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT) {
      _exit(1);
    }
  }
  return over;
}

static void start_helper(void) {
  int failed;
  if (packet_fd_count == 0) {
    say_error(EBADF, "start", words[1]);
    return;
  }
  pid_t pid = start(&words[1], packet_fds[0], &failed);
  if (pid < 0) {
    say_error(errno, failed ? "exec" : "fork", words[1]);
  } else {
    say_number("ok", pid);
  }
}

/* Waits for the command; without one (0), for the parent's end. Returns its status, or -1 when the parent went away. */
static int supervise(pid_t command) {
  struct pollfd fds[2] = {{signals_fd, POLLIN, 0}, {control, POLLIN, 0}};
  int status = 0;
  for (;;) {
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return -1;
    if (read_signals(command, &status)) return status;
    if (fds[1].revents == 0) continue;
    if (!hear()) return -1;
    if (word_count == 2 && strcmp(words[0], "signal") == 0) {
      int number = atoi(words[1]);
      if (command > 0 && !had_it_from_terminal(number)) kill(command, number);
    } else if (word_count >= 2 && strcmp(words[0], "start") == 0) {
      start_helper();
    } else {
      say_error(EINVAL, "order not known:", word_count ? words[0] : "");
    }
    close_packet_fds();
  }
}

static void take_signals(void) {
  sigset_t set;
  sigfillset(&set);
  const int not_ours[] = {SIGPIPE, SIGURG, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
  for (size_t i = 0; i < sizeof not_ours / sizeof *not_ours; i++) sigdelset(&set, not_ours[i]);
  sigprocmask(SIG_BLOCK, &set, &original_mask);
  signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static const struct {
  const char *name;
  int words; /* with the name */
  /* 0 when it is done, 1 when it has given its answer itself, -1 when it failed, and said so. */
  int (*order)(void);
} orders[] = {
    {"loopback-up", 1, order_loopback_up},
    {"congestion-control", 3, order_congestion_control},
    {"large-segments", 1, order_large_segments},
    {"propagation", 2, order_propagation},
    {"mount-proc", 1, order_mount_proc},
    {"mount-sysfs", 1, order_mount_sysfs},
    {"mount-cgroup2", 1, order_mount_cgroup2},
    {"tap", 3, order_tap},
    {"detach-netns", 2, order_detach_netns},
    {"has-default-route", 1, order_has_default_route},
    {"bind-file", 4, order_bind_file},
    {"copy-up", 2, order_copy_up},
    {"bypass", 1, order_bypass},
    {"activate", 2, order_activate},
};

/* The command, which may be longer than a packet: "more" and its words come before "run" and the last of them. */
static char **gathered;
static int gathered_count;

static void gather(void) {
  gathered = realloc(gathered, sizeof *gathered * (size_t)(gathered_count + word_count));
  for (int i = 1; i < word_count; i++) gathered[gathered_count++] = strdup(words[i]);
  gathered[gathered_count] = NULL;
}

/* Obeys until "run" has started the command; returns its pid, 0 after "idle". */
static pid_t obey(void) {
  for (;;) {
    if (!hear()) _exit(1);
    int known = 0;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
      if (word_count == 0 || strcmp(words[0], orders[i].name) != 0 || word_count != orders[i].words) continue;
      known = 1;
      if (orders[i].order() == 0) say("ok", NULL);
    }
    if (word_count >= 2 && strcmp(words[0], "more") == 0) {
      known = 1;
      gather();
      say("ok", NULL);
    }
    if (word_count >= 2 && strcmp(words[0], "start") == 0) {
      known = 1;
      start_helper();
    }
    if (word_count >= 2 && strcmp(words[0], "run") == 0) {
      int failed;
      known = 1;
      gather();
      pid_t pid = start(gathered, -1, &failed);
      if (pid > 0) {
        say_number("ok", pid);
        return pid;
      }
      say_error(errno, failed ? "exec" : "fork", gathered[0]);
    }
    if (word_count == 1 && strcmp(words[0], "idle") == 0) {
      say("ok", NULL);
      return 0;
    }
    if (!known) say_error(EINVAL, "order not known:", word_count ? words[0] : "");
    close_packet_fds();
  }
}

/* --- id maps ----------------------------------------------------------------------------------------------------- */

/*
 * Programs that write id maps have to run in the user namespace that this process leaves, so a process is forked before
 * that (from here, and not from the parent, which is large: to fork takes it longer than all that they do). It reads the
 * words of a "map" order from one pipe and writes what became of it to another: nothing, or the words of "unmapped". When
 * the launcher ends before, it ends them: nobody else can, since they are setuid.
 */
static int mapper_in = -1, mapper_out = -1;
static pid_t mapper;
static volatile pid_t map_programs[2];

static void end_map_programs(int number) {
  (void)number;
  for (int i = 0; i < 2; i++) {
    if (map_programs[i] > 0) kill(map_programs[i], SIGKILL);
  }
  _exit(1);
}

/* Starts one of the programs; its output can be read from *output. Returns its pid, or -1. */
static pid_t start_map_program(char **command, int *output) {
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0) return -1;
  pid_t pid = fork();
  if (pid == 0) {
    int null = open("/dev/null", O_RDONLY);
    dup2(null, 0);
    dup2(out[1], 1);
    dup2(out[1], 2);
    execv(command[0], command);
    dprintf(2, "%s", strerror(errno));
    _exit(127);
  }
  close(out[1]);
  *output = out[0];
  return pid;
}

static void read_all(int fd, char *text, size_t size) {
  size_t used = 0;
  ssize_t n;
  while (used + 1 < size && ((n = read(fd, text + used, size - 1 - used)) > 0 || (n < 0 && errno == EINTR))) {
    if (n > 0) used += (size_t)n;
  }
  text[used] = '\0';
}

static void be_mapper(int in, int out) {
  ssize_t n;
  size_t size = 0;
  while (size < sizeof packet - 1 && ((n = read(in, packet + size, sizeof packet - 1 - size)) > 0)) size += (size_t)n;
  char **commands[2] = {words, NULL};
  for (size_t at = 0; at < size && word_count < MAX_WORDS; at += strlen(packet + at) + 1) {
    words[word_count++] = packet + at;
    if (packet[at] != '\0') continue;
    words[word_count - 1] = NULL;
    commands[1] = &words[word_count];
  }
  words[word_count] = NULL;
  if (commands[1] == NULL) _exit(0);
  int outputs[2];
  for (int i = 0; i < 2; i++) map_programs[i] = start_map_program(commands[i], &outputs[i]);
  for (int i = 0; i < 2; i++) {
    char text[512] = "";
    int status = -1;
    if (map_programs[i] > 0) {
      read_all(outputs[i], text, sizeof text);
      while (waitpid(map_programs[i], &status, 0) < 0 && errno == EINTR) {
      }
      map_programs[i] = 0;
    }
    if (status == 0) continue;
    dprintf(out, "%d%c%d%c%s%c", i, 0, status, 0, text, 0);
    _exit(1);
  }
  _exit(0);
}

/* Returns 0, or an errno. */
static int fork_mapper(void) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) return errno;
  pid_t launcher = getpid();
  mapper = fork();
  if (mapper < 0) return errno;
  if (mapper == 0) {
    signal(SIGTERM, end_map_programs);
    die_with(launcher, SIGTERM);
    close(control);
    close(in[1]);
    be_mapper(in[0], out[1]);
  }
  close(in[0]);
  close(out[1]);
  mapper_in = in[1];
  mapper_out = out[0];
  return 0;
}

/* Has the maps written as the order that was heard says. Returns 0 where that failed, and was said, or the parent is gone. */
static int map_ids(void) {
  char said[1024];
  const char *last = words[word_count - 1];
  size_t size = (size_t)(last + strlen(last) + 1 - words[1]), done = 0;
  ssize_t n;
  while (done < size && ((n = write(mapper_in, words[1] + done, size - done)) > 0 || errno == EINTR)) {
    if (n > 0) done += (size_t)n;
  }
  close(mapper_in);
  mapper_in = -1;
  struct pollfd fds[2] = {{mapper_out, POLLIN, 0}, {control, 0, 0}};
  while (poll(fds, 2, -1) < 0 && errno == EINTR) {
  }
  if (fds[1].revents != 0) return 0;
  read_all(mapper_out, said, sizeof said);
  if (said[0] == '\0') return 1;
  const char *status = said + strlen(said) + 1;
  say("unmapped", said, status, status + strlen(status) + 1, NULL);
  return 0;
}

/* Ends it, where it had nothing to do, and waits for it. */
static void end_mapper(void) {
  if (mapper_in >= 0) close(mapper_in);
  close(mapper_out);
  while (waitpid(mapper, NULL, 0) < 0 && errno == EINTR) {
  }
}

/* --- main -------------------------------------------------------------------------------------------------------- */

/* Outside a new pid namespace: waits for its first process, and ends as it does. */
static void wait_for_first_process(pid_t first) {
  int status;
  while (waitpid(first, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 255);
}

int main(int argc, char **argv) {
  if (argc > 3 && strcmp(argv[1], "die-with") == 0) {
    die_with((pid_t)atol(argv[2]), SIGKILL);
    /* Out of reach of the terminal's signals, which are meant for the command. */
    setsid();
    execvp(argv[3], &argv[3]);
    fprintf(stderr, "cannot execute %s: %s\n", argv[3], strerror(errno));
    return errno == ENOENT ? 127 : 126;
  }
  if (argc != 4) {
    fprintf(stderr, "launcher is started by rootless-run, not by hand\n");
    return 2;
  }
  control = atoi(argv[1]);
  pid_t parent = (pid_t)atol(argv[2]);
  int flags = parse_namespaces(argv[3]);
  if (flags < 0) return 2;
  fcntl(control, F_SETFD, FD_CLOEXEC);
  find_inherited();
  die_with(parent, SIGKILL);

  if ((flags & CLONE_NEWUSER) != 0) {
    int error = fork_mapper();
    if (error != 0) {
      say_error(error, "fork", NULL);
      return 1;
    }
    if (unshare(CLONE_NEWUSER) != 0) {
      say_error(errno, "unshare", "user");
      return 1;
    }
    die_with(parent, SIGKILL);
    say("unshared", NULL);
    if (!hear() || word_count == 0) return 1;
    if (strcmp(words[0], "map") == 0 && word_count > 1) {
      if (!map_ids()) return 1;
    } else if (strcmp(words[0], "mapped") != 0) {
      return 1;
    }
    end_mapper();
    /* With a one-id map setgroups is denied, and there is nothing to drop. */
    if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0) {
      say_error(errno, "become root in the user namespace", NULL);
      return 1;
    }
    die_with(parent, SIGKILL);
    /* The maps are written; /proc/PID of this process is to be readable for the parent again. */
    prctl(PR_SET_DUMPABLE, 1);
  }
  for (size_t i = 0; i < sizeof namespace_flags / sizeof *namespace_flags; i++) {
    int flag = namespace_flags[i].flag;
    if (flag == CLONE_NEWUSER || (flags & flag) == 0) continue;
    if (unshare(flag) != 0) {
      say_error(errno, "unshare", namespace_flags[i].name);
      return 1;
    }
  }
  if ((flags & CLONE_NEWPID) != 0) {
    int gate[2];
    if (pipe2(gate, O_CLOEXEC) != 0) return 1;
    pid_t first = fork();
    if (first < 0) {
      say_error(errno, "fork into the pid namespace", NULL);
      return 1;
    }
    if (first > 0) {
      say_number("ready", first);
      close(gate[0]);
      close(gate[1]);
      close(control);
      sigset_t all;
      sigfillset(&all);
      sigprocmask(SIG_BLOCK, &all, NULL);
      wait_for_first_process(first);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
  } else {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    say_number("ready", getpid());
  }

  take_signals();
  pid_t command = obey();
  /* From here on the end of the control socket says that the parent is gone, so that we can clean up before we end. */
  prctl(PR_SET_PDEATHSIG, 0);
  int status = supervise(command);
  if (status >= 0) {
    if (WIFSIGNALED(status)) {
      say_number("signaled", WTERMSIG(status));
    } else {
      say_number("exited", WEXITSTATUS(status));
    }
  }
  kill_descendants();
  if (status < 0) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}
