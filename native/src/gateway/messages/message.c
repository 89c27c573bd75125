#include "gateway/messages/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int open_netlink(int protocol) { return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol); }

void batch_clear(struct batch *batch) {
  batch->used = batch->last = 0;
  batch->count = 0;
  batch->overflowed = 0;
}

static void *grow(struct batch *batch, size_t size) {
  size_t aligned = NLMSG_ALIGN(size);
  if (aligned > sizeof batch->bytes - batch->used) {
    batch->overflowed = 1;
    return NULL;
  }
  unsigned char *at = batch->bytes + batch->used;
  memset(at, 0, aligned);
  batch->used += aligned;
  return at;
}

static void end_message(struct batch *batch) {
  if (batch->count == 0) return;
  uint32_t length = (uint32_t)(batch->used - batch->last);
  memcpy(batch->bytes + batch->last + offsetof(struct nlmsghdr, nlmsg_len), &length, sizeof length);
}

void begin(struct batch *batch, uint16_t type, uint16_t flags, const char *what) {
  end_message(batch);
  if (batch->count == BATCH_MESSAGES) batch->overflowed = 1;
  if (batch->overflowed) return;
  batch->last = batch->used;
  batch->what[batch->count] = what;
  /* Sequence numbers count from 1: the kernel's own messages have 0. */
  struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++batch->count};
  put(batch, &head, sizeof head);
}

void put(struct batch *batch, const void *data, size_t size) {
  void *at = grow(batch, size);
  if (at != NULL) memcpy(at, data, size);
}

void put_attribute(struct batch *batch, uint16_t type, const void *data, size_t size) {
  struct nlattr head = {(uint16_t)(sizeof head + size), type};
  unsigned char *at = grow(batch, sizeof head + size);
  if (at == NULL) return;
  memcpy(at, &head, sizeof head);
  if (size > 0) memcpy(at + sizeof head, data, size);
}

void put_u32(struct batch *batch, uint16_t type, uint32_t value) { put_attribute(batch, type, &value, sizeof value); }

void put_be32(struct batch *batch, uint16_t type, uint32_t value) { put_u32(batch, type, htonl(value)); }

void put_string(struct batch *batch, uint16_t type, const char *text) {
  put_attribute(batch, type, text, strlen(text) + 1);
}

size_t begin_nest(struct batch *batch, uint16_t type) {
  size_t nest = batch->used;
  put_attribute(batch, type | NLA_F_NESTED, NULL, 0);
  return nest;
}

void end_nest(struct batch *batch, size_t nest) {
  if (batch->overflowed) return;
  uint16_t length = (uint16_t)(batch->used - nest);
  memcpy(batch->bytes + nest, &length, sizeof length);
}

/* The first error among the answers that have come, which is that of the first message that failed. */
static int first_error(const struct batch *batch, int fd, const char **what) {
  struct {
    struct nlmsghdr header;
    struct nlmsgerr result;
    char rest[BATCH_BYTES];
  } answer;
  int error = 0, answers = 0;
  for (;;) {
    ssize_t n = recv(fd, &answer, sizeof answer, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return errno;
    if ((size_t)n < sizeof answer.header + sizeof answer.result || answer.header.nlmsg_type != NLMSG_ERROR) continue;
    answers++;
    if (answer.result.error == 0 || error != 0) continue;
    error = -answer.result.error;
    uint32_t number = answer.header.nlmsg_seq;
    *what = batch->what[number >= 1 && number <= batch->count ? number - 1 : 0];
  }
  /* Without an acknowledgement it is not known what happened. */
  return answers == 0 ? EPROTO : error;
}

int send_batch(struct batch *batch, int fd, const char **what) {
  *what = batch->what[0];
  if (batch->overflowed || batch->count == 0) return EMSGSIZE;
  end_message(batch);
  struct nlmsghdr last;
  memcpy(&last, batch->bytes + batch->last, sizeof last);
  last.nlmsg_flags |= NLM_F_ACK;
  memcpy(batch->bytes + batch->last, &last, sizeof last);
  ssize_t n;
  do {
    n = send(fd, batch->bytes, batch->used, 0);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? errno : first_error(batch, fd, what);
}
