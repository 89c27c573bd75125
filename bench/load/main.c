/*
 * Load for the benchmark, and a check of what would spoil one. The result is one line of JSON.
 *
 *   bench_load server ADDRESS PORT
 *       Prints "ready" when it listens; serves all modes below but the datagrams.
 *   bench_load connections ADDRESS PORT CONCURRENCY SECONDS
 *       Keeps CONCURRENCY attempts open, each with one byte each way, and then reset. Prints
 *       {"connections":N,"errors":N,"seconds":S,"rate":PER_SECOND,"in_flight":N,"p50_us":N,…}
 *       in_flight: how many attempts were on their way at a time, on average, counting only those that came to
 *       an end (the sum of their times by the elapsed time). Well below CONCURRENCY it means that the others were
 *       stuck, and that rate and percentiles are those of a few lucky ones.
 *   bench_load streams ADDRESS PORT STREAMS SECONDS
 *       Sends that many streams, a thread each. Prints {"streams":N,"bytes":RECEIVED,"seconds":S,"gbits":N}
 *   bench_load ping ADDRESS PORT SECONDS
 *       One byte there and back over one connection. Prints {"pings":N,"seconds":S,"rate":N,"p50_us":N,…}
 *   bench_load mixed ADDRESS PORT STREAMS SECONDS
 *       Small connections one after the other, beside bulk streams. Prints what streams prints, and
 *       "connect":{…} for the time from connect to the first byte, "ping":{…} for the bytes after it
 *   bench_load hold ADDRESS PORT COUNT
 *       Opens that many connections, prints {"tried":N,"held":N,"failed":N,"seconds":S}, and stays. Gives up the
 *       rest when three seconds pass without progress.
 *   bench_load udp-server ADDRESS PORT
 *   bench_load udp-flood ADDRESS PORT SIZE SECONDS
 *       Prints {"sent":N,"received":N,"seconds":S,"rate":RECEIVED_PER_SECOND,"gbits":N,"lost":SHARE}
 *   bench_load udp-flows ADDRESS PORT CLIENTS SECONDS
 *       64 bytes there and back for each of many clients. Prints {"flows":N,"answers":N,"rate":N,"lost":SHARE,
 *       "first":{…},"p50_us":N,…}; the first datagrams of clients, one at a time, are counted apart
 *   bench_load dns ADDRESS PORT NAME CLIENTS SECONDS
 *       The same with queries for the address of a name, and "wrong":N for answers that have none.
 *   bench_load now
 *       Prints the monotonic clock in nanoseconds, and ends.
 *   bench_load pipe
 *       Prints the size in bytes of the largest pipe, up to 1 MiB, that this user can have now; pipe pages are
 *       rationed per user (see fs.pipe-user-pages-soft in proc(5)), and forwarders that splice live on them.
 *
 * ADDRESS is numeric, IPv4 or IPv6. Where latencies are measured there are "p50_us", "p99_us" and "quantiles_us".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include "load.h"

void die(const char *what) {
  fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

void usage(void) {
  fputs(
      "usage: bench_load pipe|now\n"
      "       bench_load server|udp-server ADDRESS PORT\n"
      "       bench_load connections|streams|mixed ADDRESS PORT NUMBER SECONDS\n"
      "       bench_load ping ADDRESS PORT SECONDS\n"
      "       bench_load hold ADDRESS PORT NUMBER\n"
      "       bench_load udp-flood ADDRESS PORT SIZE SECONDS\n"
      "       bench_load udp-flows ADDRESS PORT NUMBER SECONDS\n"
      "       bench_load dns ADDRESS PORT NAME NUMBER SECONDS\n",
      stderr);
  exit(2);
}

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void watch(int epoll, int operation, int fd, uint32_t events, uint32_t value) {
  struct epoll_event event = {.events = events, .data = {.u32 = value}};
  if (epoll_ctl(epoll, operation, fd, &event) != 0) die("epoll_ctl");
}

void set_no_delay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int connect_to(const struct target *target) {
  int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  set_no_delay(fd);
  if (connect(fd, (const struct sockaddr *)&target->address, target->length) != 0) die("connect");
  return fd;
}

static struct target parse_target(const char *host, const char *port) {
  struct target target = {0};
  struct sockaddr_in *v4 = (struct sockaddr_in *)&target.address;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target.address;
  char *end;
  long number = strtol(port, &end, 10);
  if (*end != '\0' || number < 1 || number > 65535) usage();
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)number);
    target.length = sizeof *v4;
  } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)number);
    target.length = sizeof *v6;
  } else {
    usage();
  }
  return target;
}

/* A positive number, not above max. */
static double parse_number(const char *text, double max) {
  char *end;
  double number = strtod(text, &end);
  if (*end != '\0' || !(number > 0) || number > max) usage();
  return number;
}

static void show_pipe_size(void) {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) die("pipe");
  for (int size = 1 << 20; size > 4096; size /= 2) {
    if (fcntl(pipe_fds[0], F_SETPIPE_SZ, size) >= 0) break;
  }
  printf("%d\n", fcntl(pipe_fds[0], F_GETPIPE_SZ));
}

static void raise_file_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv) {
  const double max_seconds = 3600, max_count = 60000;
  raise_file_limit();
  if (argc == 2 && strcmp(argv[1], "pipe") == 0) {
    show_pipe_size();
    return 0;
  }
  if (argc == 2 && strcmp(argv[1], "now") == 0) {
    printf("%llu\n", (unsigned long long)now_ns());
    return 0;
  }
  if (argc < 4) usage();
  const char *mode = argv[1];
  struct target target = parse_target(argv[2], argv[3]);
  if (argc == 4 && strcmp(mode, "server") == 0) {
    serve(&target);
  } else if (argc == 4 && strcmp(mode, "udp-server") == 0) {
    serve_udp(&target);
  } else if (argc == 5 && strcmp(mode, "ping") == 0) {
    ping(&target, parse_number(argv[4], max_seconds));
  } else if (argc == 5 && strcmp(mode, "hold") == 0) {
    hold(&target, (uint32_t)parse_number(argv[4], max_count));
  } else if (argc == 6) {
    double number = parse_number(argv[4], max_count), seconds = parse_number(argv[5], max_seconds);
    if (strcmp(mode, "connections") == 0) make_connections(&target, (uint32_t)number, seconds);
    else if (strcmp(mode, "streams") == 0) send_streams(&target, (unsigned)number, seconds);
    else if (strcmp(mode, "mixed") == 0) send_mixed(&target, (unsigned)number, seconds);
    else if (strcmp(mode, "udp-flows") == 0) use_flows(&target, (uint32_t)number, seconds);
    else if (strcmp(mode, "udp-flood") == 0) flood_udp(&target, (size_t)number, seconds);
    else usage();
  } else if (argc == 7 && strcmp(mode, "dns") == 0) {
    ask_names(&target, argv[4], (uint32_t)parse_number(argv[5], max_count), parse_number(argv[6], max_seconds));
  } else {
    usage();
  }
  return 0;
}
