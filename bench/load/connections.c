/* New connections: connect, send a byte, wait for the byte that comes back, reset, again. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "load.h"

enum { EVENTS = 256 };

struct attempt {
  int fd;
  int sent;
  uint64_t started;
};

static struct attempt *attempts;
static uint64_t errors;
static struct latencies latencies;

static void begin(int epoll, uint32_t slot, const struct target *target) {
  struct attempt *attempt = &attempts[slot];
  /* So that no TIME_WAIT piles up here. */
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  attempt->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (attempt->fd < 0) die("socket");
  set_no_delay(attempt->fd);
  setsockopt(attempt->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  attempt->sent = 0;
  attempt->started = now_ns();
  /* A failure that is known at once is reported by epoll as well. */
  if (connect(attempt->fd, (const struct sockaddr *)&target->address, target->length) != 0 && errno != EINPROGRESS) {
    if (errno != ECONNREFUSED && errno != ECONNRESET) die("connect");
  }
  watch(epoll, EPOLL_CTL_ADD, attempt->fd, EPOLLOUT, slot);
}

/* Goes on with an attempt; returns 1 when it has ended, well or badly. */
static int advance(int epoll, uint32_t slot) {
  struct attempt *attempt = &attempts[slot];
  char byte = ECHO;
  if (!attempt->sent) {
    if (send(attempt->fd, &byte, 1, MSG_NOSIGNAL) != 1) {
      if (errno == EAGAIN) return 0;
      errors++;
      return 1;
    }
    attempt->sent = 1;
    watch(epoll, EPOLL_CTL_MOD, attempt->fd, EPOLLIN, slot);
    return 0;
  }
  ssize_t got = recv(attempt->fd, &byte, 1, 0);
  if (got < 0 && errno == EAGAIN) return 0;
  if (got == 1) latency_record(&latencies, now_ns() - attempt->started);
  else errors++;
  return 1;
}

void make_connections(const struct target *target, uint32_t concurrency, double seconds) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  attempts = calloc(concurrency, sizeof *attempts);
  if (epoll < 0 || !attempts) die("epoll_create1");
  uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), now;
  for (uint32_t slot = 0; slot < concurrency; slot++) begin(epoll, slot, target);
  while ((now = now_ns()) < end) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, (int)((end - now) / 1000000) + 1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; i++) {
      uint32_t slot = events[i].data.u32;
      if (!advance(epoll, slot)) continue;
      close(attempts[slot].fd);
      begin(epoll, slot, target);
    }
    if (errors > 10000 && latencies.count == 0) {
      fputs("bench_load: every attempt failed; is the server running?\n", stderr);
      exit(1);
    }
  }
  double taken = (double)(now - start) / 1e9;
  printf("{\"connections\":%zu,\"errors\":%llu,\"seconds\":%.3f,\"rate\":%.1f,\"in_flight\":%.2f,", latencies.count,
         (unsigned long long)errors, taken, (double)latencies.count / taken, latency_sum(&latencies) / taken);
  latency_print(&latencies);
  puts("}");
}
