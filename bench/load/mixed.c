/* Small connections beside bulk streams: each is opened, has one byte there and back some times, and is reset. They come one
 * after the other, so that what is measured is the delay by the streams, not by each other. */
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>
#include "load.h"

/* After the first byte. */
enum { PINGS = 20 };

/* One byte there and back; records the time since `before`, and returns the time now. */
static uint64_t echo(int fd, uint64_t before, struct latencies *latencies) {
  char byte = ECHO;
  if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1) die("send");
  if (recv(fd, &byte, 1, 0) != 1) die("recv");
  uint64_t now = now_ns();
  latency_record(latencies, now - before);
  return now;
}

void send_mixed(const struct target *target, unsigned count, double seconds) {
  struct latencies connects = {0}, pings = {0};
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  struct stream *streams = begin_streams(target, count, seconds);
  uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9);
  while (now_ns() < end) {
    uint64_t before = now_ns();
    int fd = connect_to(target);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    before = echo(fd, before, &connects);
    for (int i = 0; i < PINGS && before < end; i++) before = echo(fd, before, &pings);
    close(fd);
  }
  uint64_t bytes = finish_streams(streams, count);
  double taken = (double)(now_ns() - start) / 1e9;
  printf("{\"streams\":%u,\"bytes\":%llu,\"seconds\":%.3f,\"gbits\":%.3f,\"connects\":%zu,\"connect\":{", count,
         (unsigned long long)bytes, taken, (double)bytes * 8 / 1e9 / taken, connects.count);
  latency_print(&connects);
  printf("},\"pings\":%zu,\"ping\":{", pings.count);
  latency_print(&pings);
  puts("}}");
}
