/* One byte there and back over a connection that is open. */
#include <stdio.h>
#include "load.h"

void ping(const struct target *target, double seconds) {
  struct latencies latencies = {0};
  int fd = connect_to(target);
  uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), before = start, now;
  do {
    char byte = ECHO;
    if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1) die("send");
    if (recv(fd, &byte, 1, 0) != 1) die("recv");
    now = now_ns();
    latency_record(&latencies, now - before);
    before = now;
  } while (now < end);
  double taken = (double)(now - start) / 1e9;
  printf("{\"pings\":%zu,\"seconds\":%.3f,\"rate\":%.1f,", latencies.count, taken, (double)latencies.count / taken);
  latency_print(&latencies);
  puts("}");
}
