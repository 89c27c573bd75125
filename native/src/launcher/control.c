#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/launcher.h"

int control = -1;
struct request request;

static char packet[MAX_PACKET];

/* Sends `first` and the words after it, with descriptors. */
static void send_packet(const int *fds, int fd_count, const char *first, va_list words) {
  char out[1024];
  char cmsg_space[CMSG_SPACE(sizeof(int) * MAX_REPLY_FDS)] = {0};
  struct iovec iov = {out, 0};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  for (const char *word = first; word != NULL; word = va_arg(words, const char *)) {
    size_t length = strlen(word) + 1;
    if (iov.iov_len + length > sizeof out) break;
    memcpy(out + iov.iov_len, word, length);
    iov.iov_len += length;
  }
  if (fd_count > 0) {
    size_t size = sizeof(int) * (size_t)fd_count;
    msg.msg_control = cmsg_space;
    msg.msg_controllen = CMSG_SPACE(size);
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), fds, size);
  }
  while (sendmsg(control, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

void send_words(const char *first, ...) {
  va_list words;
  va_start(words, first);
  send_packet(NULL, 0, first, words);
  va_end(words);
}

void send_with_fds(const int *fds, int fd_count, const char *first, ...) {
  va_list words;
  va_start(words, first);
  send_packet(fds, fd_count, first, words);
  va_end(words);
}

void send_number(const char *word, long number) {
  char text[24];
  snprintf(text, sizeof text, "%ld", number);
  send_words(word, text, NULL);
}

void reply_error(int error, const char *what, const char *object) {
  char code[16];
  snprintf(code, sizeof code, "%d", error);
  send_words("error", code, what, object, NULL);
}

static void take_fds(struct msghdr *msg) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    int count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < count && request.fd_count < MAX_FDS; i++) {
      memcpy(&request.fds[request.fd_count++], CMSG_DATA(c) + sizeof(int) * (size_t)i, sizeof(int));
    }
  }
}

int receive_request(void) {
  struct iovec iov = {packet, sizeof packet - 1};
  char cmsg_space[CMSG_SPACE(sizeof(int) * MAX_FDS)];
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  msg.msg_control = cmsg_space;
  msg.msg_controllen = sizeof cmsg_space;
  ssize_t n;
  do {
    n = recvmsg(control, &msg, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  request.fd_count = 0;
  request.count = 0;
  if (n <= 0) return 0;
  /* The parent splits what does not fit, so this is a packet of another origin, or a fault. */
  if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return 0;
  take_fds(&msg);
  packet[n] = '\0';
  for (ssize_t at = 0; at < n && request.count < MAX_WORDS;) {
    request.words[request.count++] = packet + at;
    at += (ssize_t)strlen(packet + at) + 1;
    if (request.count == MAX_WORDS && at < n) return 0;
  }
  request.words[request.count] = NULL;
  return 1;
}

void close_request_fds(void) {
  for (int i = 0; i < request.fd_count; i++) close(request.fds[i]);
  request.fd_count = 0;
}

int keep_request_fd(void) {
  if (request.fd_count == 0) {
    errno = EBADF;
    return -1;
  }
  return fcntl(request.fds[0], F_DUPFD_CLOEXEC, 3);
}
