#include "system/congestion_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static const char path[] = "/proc/sys/net/ipv4/tcp_congestion_control";

int avoid_pacing(const char *const *names) {
  char now[64] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  ssize_t n = read(fd, now, sizeof now - 1);
  int error = n < 0 ? errno : 0;
  close(fd);
  if (n <= 0 || strncmp(now, "bbr", 3) != 0) return error;
  fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  for (; *names != NULL; names++) {
    error = pwrite(fd, *names, strlen(*names), 0) < 0 ? errno : 0;
    if (error == 0) break;
  }
  close(fd);
  return error;
}
