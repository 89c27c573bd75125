/* Connections that are open and idle. Only one that has had its byte back counts: one that merely waits in the queue
 * of a listener looks open, too. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "load.h"

enum { EVENTS = 256, AT_ONCE = 32, PATIENCE_MS = 3000, SETTLE_MS = 300 };

enum state { CONNECTING, ASKED, OPEN, ENDED };

static enum state *states; /* by slot */
static int *fds;
static uint32_t held, failed, under_way;

static void begin(int epoll, uint32_t slot, const struct target *target) {
  int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  fds[slot] = fd;
  under_way++;
  if (connect(fd, (const struct sockaddr *)&target->address, target->length) != 0 && errno != EINPROGRESS) {
    if (errno != ECONNREFUSED && errno != ECONNRESET) die("connect");
  }
  watch(epoll, EPOLL_CTL_ADD, fd, EPOLLOUT, slot);
}

static void end(uint32_t slot) {
  if (states[slot] == OPEN) held--;
  else under_way--;
  failed++;
  states[slot] = ENDED;
  close(fds[slot]);
}

static void advance(int epoll, uint32_t slot) {
  char byte = ECHO;
  if (states[slot] == CONNECTING) {
    if (send(fds[slot], &byte, 1, MSG_NOSIGNAL) != 1) {
      if (errno != EAGAIN) end(slot);
      return;
    }
    states[slot] = ASKED;
    watch(epoll, EPOLL_CTL_MOD, fds[slot], EPOLLIN, slot);
    return;
  }
  ssize_t got = recv(fds[slot], &byte, 1, 0);
  if (got == 1 && states[slot] == ASKED) {
    states[slot] = OPEN;
    held++;
    under_way--;
  } else if (got == 0 || (got < 0 && errno != EAGAIN)) {
    end(slot);
  }
}

/* Goes on with what has happened; returns the number of events. */
static int turn(int epoll, int timeout) {
  struct epoll_event events[EVENTS];
  int count = epoll_wait(epoll, events, EVENTS, timeout);
  if (count < 0 && errno != EINTR) die("epoll_wait");
  for (int i = 0; i < count; i++) advance(epoll, events[i].data.u32);
  return count;
}

void hold(const struct target *target, uint32_t count) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  states = calloc(count, sizeof *states);
  fds = calloc(count, sizeof *fds);
  if (epoll < 0 || !states || !fds) die("calloc");
  uint32_t begun = 0;
  uint64_t start = now_ns();
  while (held + failed < count) {
    while (begun < count && under_way < AT_ONCE) begin(epoll, begun++, target);
    if (turn(epoll, PATIENCE_MS) == 0) break;
  }
  double taken = (double)(now_ns() - start) / 1e9;
  /* A server that closes connections which it cannot serve does so soon. */
  uint64_t settled = now_ns() + SETTLE_MS * 1000000ull;
  for (uint64_t now; (now = now_ns()) < settled;) turn(epoll, (int)((settled - now) / 1000000) + 1);
  printf("{\"tried\":%u,\"held\":%u,\"failed\":%u,\"seconds\":%.3f}\n", count, held, failed, taken);
  fflush(stdout);
  for (;;) turn(epoll, -1);
}
