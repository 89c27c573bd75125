/* One byte there and back over a connection that is open. */
#include <stdio.h>
#include "load.h"

void ping(const struct target *target, double seconds) {
  int fd = connect_to(target);
  uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), before = start, now;
  do {
    char byte = ECHO;
    if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1) die("send");
    if (recv(fd, &byte, 1, 0) != 1) die("recv");
    now = now_ns();
    latency_record(now - before);
    before = now;
  } while (now < end);
  double taken = (double)(now - start) / 1e9;
  printf("{\"pings\":%zu,\"seconds\":%.3f,\"rate\":%.1f,", latency_count(), taken, (double)latency_count() / taken);
  latency_print();
  puts("}");
}
