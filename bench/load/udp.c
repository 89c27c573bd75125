/* One-way datagrams at the highest rate. The server counts them by run, and sends the count on request. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "load.h"

enum { BATCH = 32, MAX_SIZE = 65000, ASK_TIMES = 20, ASK_MS = 100, SETTLE_US = 200000 };

int make_datagram_socket(const struct target *target) {
  int fd = socket(target->address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  return fd;
}

static void set_up(struct mmsghdr *messages, struct iovec *parts,
                   char *room /* NOLINT(readability-non-const-parameter): the kernel writes */, size_t size, int own) {
  for (int i = 0; i < BATCH; i++) {
    parts[i] = (struct iovec){.iov_base = own ? room + (size_t)i * size : room, .iov_len = size};
    messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
  }
}

void serve_udp(const struct target *target) {
  struct mmsghdr messages[BATCH] = {0}, back[BATCH] = {0};
  struct iovec parts[BATCH];
  struct sockaddr_storage sources[BATCH];
  struct datagram counted = {.kind = ANSWER};
  uint64_t first = 0;
  int fd = make_datagram_socket(target);
  char *room = malloc((size_t)BATCH * MAX_SIZE);
  if (!room) die("malloc");
  if (bind(fd, (const struct sockaddr *)&target->address, target->length) != 0) die("bind");
  puts("ready");
  fflush(stdout);
  set_up(messages, parts, room, MAX_SIZE, 1);
  for (;;) {
    for (int i = 0; i < BATCH; i++) {
      messages[i].msg_hdr.msg_name = &sources[i];
      messages[i].msg_hdr.msg_namelen = sizeof sources[i];
    }
    int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
    if (count < 0 && errno != EINTR) die("recvmmsg");
    uint64_t now = now_ns();
    unsigned returned = 0;
    for (int i = 0; i < count; i++) {
      const struct datagram *header = parts[i].iov_base;
      if (messages[i].msg_len < sizeof *header) continue;
      if (header->kind == DATA) {
        if (header->run != counted.run) {
          counted.run = header->run;
          counted.received = 0;
          first = now;
        }
        counted.received++;
        counted.nanoseconds = now - first;
      } else if (header->kind == QUERY && header->run == counted.run) {
        struct msghdr *message = &messages[i].msg_hdr;
        sendto(fd, &counted, sizeof counted, 0, message->msg_name, message->msg_namelen);
      } else if (header->kind == BACK) {
        /* Only the part that arrived. */
        parts[i].iov_len = messages[i].msg_len;
        back[returned++].msg_hdr = messages[i].msg_hdr;
      }
    }
    if (returned > 0) sendmmsg(fd, back, returned, 0);
    for (int i = 0; i < count; i++) parts[i].iov_len = MAX_SIZE;
  }
}

/* Asks until the answer comes: the flood may still fill the queues. */
static struct datagram ask(int fd, uint64_t run) {
  struct datagram query = {.kind = QUERY, .run = run}, answer;
  for (int i = 0; i < ASK_TIMES; i++) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    send(fd, &query, sizeof query, 0);
    while (poll(&wait, 1, ASK_MS) > 0) {
      ssize_t got = recv(fd, &answer, sizeof answer, 0);
      if (got == sizeof answer && answer.kind == ANSWER && answer.run == run) return answer;
    }
  }
  fputs("bench_load: no answer to the question how many datagrams have arrived\n", stderr);
  exit(1);
}

void flood_udp(const struct target *target, size_t size, double seconds) {
  struct mmsghdr messages[BATCH] = {0};
  struct iovec parts[BATCH];
  static union {
    struct datagram header;
    char bytes[MAX_SIZE];
  } datagram;
  if (size < sizeof datagram.header || size > sizeof datagram) usage();
  int fd = make_datagram_socket(target);
  if (connect(fd, (const struct sockaddr *)&target->address, target->length) != 0) die("connect");
  uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), now, sent = 0;
  datagram.header = (struct datagram){.kind = DATA, .run = start};
  set_up(messages, parts, datagram.bytes, size, 0);
  do {
    int count = sendmmsg(fd, messages, BATCH, 0);
    /* What came back from a datagram before, or a full queue. */
    if (count < 0 && errno != ECONNREFUSED && errno != ENOBUFS) die("sendmmsg");
    if (count > 0) sent += (uint64_t)count;
  } while ((now = now_ns()) < end);
  double taken = (double)(now - start) / 1e9;
  usleep(SETTLE_US);
  struct datagram answer = ask(fd, start);
  double arriving = (double)answer.nanoseconds / 1e9;
  double rate = (double)answer.received / (arriving > taken ? arriving : taken);
  printf("{\"sent\":%llu,\"received\":%llu,\"seconds\":%.3f,\"rate\":%.1f,\"gbits\":%.3f,\"lost\":%.4f}\n",
         (unsigned long long)sent, (unsigned long long)answer.received, taken, rate, rate * (double)size * 8 / 1e9,
         1 - (double)answer.received / (double)sent);
}
