#include "monitor/console.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "system/unix_listener.h"

/* The runtime has sent it before it ends. */
enum { TIMEOUT_MS = 2000 };

int console_listen(const char *path) { return unix_listen(path, 0, 1); }

static int wait_for(int fd) {
  struct pollfd poll_fd = {fd, POLLIN, 0};
  int ready = poll(&poll_fd, 1, TIMEOUT_MS);
  if (ready == 0) errno = ETIMEDOUT;
  return ready > 0 ? 0 : -1;
}

int console_receive(int listener) {
  if (wait_for(listener) != 0) return -1;
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return -1;
  /* The name of the terminal, which is not needed. */
  char name[4096];
  union {
    char buffer[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec data = {name, sizeof name};
  struct msghdr message = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = control.buffer,
                           .msg_controllen = sizeof control.buffer};
  int fd = -1;
  if (wait_for(connection) == 0 && recvmsg(connection, &message, MSG_CMSG_CLOEXEC) >= 0) {
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      memcpy(&fd, CMSG_DATA(header), sizeof fd);
    } else {
      errno = EPROTO;
    }
  }
  int error = errno;
  close(connection);
  errno = error;
  return fd;
}
