/*
 * Load for the benchmark of new connections, and a check of what would spoil one.
 *
 *   bench_load server ADDRESS PORT
 *       Accepts, answers each byte with one byte, and says "ready" on a line when it listens.
 *   bench_load client ADDRESS PORT CONCURRENCY SECONDS
 *       Keeps CONCURRENCY attempts open: connect, send a byte, wait for the byte that comes back, reset (so that
 *       no TIME_WAIT piles up here), again. Prints one line of JSON:
 *       {"connections":N,"errors":N,"seconds":S,"rate":PER_SECOND,"in_flight":N,"p50_us":N,"p99_us":N}
 *       in_flight: how many attempts were on their way at a time, on average, counting only those that came to
 *       an end (the sum of their times by the time taken). Well below CONCURRENCY it says that the others were
 *       stuck, and that rate and percentiles are those of a few lucky ones.
 *   bench_load pipe
 *       Prints the size in bytes of the largest pipe, up to 1 MiB, that this user can have now; pipe pages are
 *       rationed per user (see fs.pipe-user-pages-soft in proc(5)), and forwarders that splice live on them.
 *
 * One thread and epoll in both modes. ADDRESS is numeric, IPv4 or IPv6.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, MAX_CONCURRENCY = 10000 };

static void die(const char *what) {
  fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void usage(void) {
  fputs("usage: bench_load server ADDRESS PORT | client ADDRESS PORT CONCURRENCY SECONDS | pipe\n", stderr);
  exit(2);
}

static uint64_t now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Fills in a socket address and returns its length. */
static socklen_t parse_address(const char *host, const char *port, struct sockaddr_storage *out) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)out;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
  char *end;
  long number = strtol(port, &end, 10);
  if (*end != '\0' || number < 1 || number > 65535) usage();
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)number);
    return sizeof *v4;
  }
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)number);
    return sizeof *v6;
  }
  usage();
  return 0;
}

static void watch(int epoll, int operation, int fd, uint32_t events, uint32_t value) {
  struct epoll_event event = {.events = events, .data = {.u32 = value}};
  if (epoll_ctl(epoll, operation, fd, &event) != 0) die("epoll_ctl");
}

static void serve(const struct sockaddr_storage *address, socklen_t length) {
  int one = 1;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  int listener = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (epoll < 0 || listener < 0) die("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (const struct sockaddr *)address, length) != 0) die("bind");
  if (listen(listener, 4096) != 0) die("listen");
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, (uint32_t)listener);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, -1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; i++) {
      int fd = (int)events[i].data.u32;
      if (fd == listener) {
        int client;
        while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
          setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          watch(epoll, EPOLL_CTL_ADD, client, EPOLLIN, (uint32_t)client);
        }
        continue;
      }
      char byte;
      ssize_t got = recv(fd, &byte, 1, 0);
      if (got == 1) send(fd, &byte, 1, MSG_NOSIGNAL);
      else if (got == 0 || errno != EAGAIN) close(fd);
    }
  }
}

struct attempt {
  int fd; /* -1: none */
  int sent;
  uint64_t started;
};

static struct attempt attempts[MAX_CONCURRENCY];
static uint32_t *latencies;
static size_t latency_count, latency_room;
static uint64_t errors;

static void record(uint64_t microseconds) {
  if (latency_count == latency_room) {
    latency_room = latency_room ? latency_room * 2 : 1 << 16;
    latencies = realloc(latencies, latency_room * sizeof *latencies);
    if (!latencies) die("realloc");
  }
  latencies[latency_count++] = (uint32_t)microseconds;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static uint32_t percentile(unsigned percent) {
  return latency_count ? latencies[(latency_count - 1) * percent / 100] : 0;
}

static void begin(int epoll, uint32_t slot, const struct sockaddr_storage *address, socklen_t length) {
  struct attempt *attempt = &attempts[slot];
  int one = 1;
  struct linger reset = {.l_onoff = 1, .l_linger = 0};
  attempt->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (attempt->fd < 0) die("socket");
  setsockopt(attempt->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(attempt->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  attempt->sent = 0;
  attempt->started = now_us();
  /* A failure that is known at once is reported by epoll as well. */
  if (connect(attempt->fd, (const struct sockaddr *)address, length) != 0 && errno != EINPROGRESS) {
    if (errno != ECONNREFUSED && errno != ECONNRESET) die("connect");
  }
  watch(epoll, EPOLL_CTL_ADD, attempt->fd, EPOLLOUT, slot);
}

/* Goes on with an attempt; returns 1 when it has ended, well or badly. */
static int advance(int epoll, uint32_t slot) {
  struct attempt *attempt = &attempts[slot];
  char byte = 'x';
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
  if (got == 1) record(now_us() - attempt->started);
  else errors++;
  return 1;
}

static void load(const struct sockaddr_storage *address, socklen_t length, uint32_t concurrency, double seconds) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1");
  uint64_t start = now_us(), end = start + (uint64_t)(seconds * 1e6);
  for (uint32_t slot = 0; slot < concurrency; slot++) begin(epoll, slot, address, length);
  uint64_t now;
  while ((now = now_us()) < end) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, (int)((end - now) / 1000) + 1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; i++) {
      uint32_t slot = events[i].data.u32;
      if (!advance(epoll, slot)) continue;
      close(attempts[slot].fd);
      begin(epoll, slot, address, length);
    }
    if (errors > 10000 && latency_count == 0) {
      fputs("bench_load: nothing but errors; is the server there?\n", stderr);
      exit(1);
    }
  }
  double taken = (double)(now - start) / 1e6;
  uint64_t sum = 0;
  for (size_t i = 0; i < latency_count; i++) sum += latencies[i];
  qsort(latencies, latency_count, sizeof *latencies, compare);
  printf("{\"connections\":%zu,\"errors\":%llu,\"seconds\":%.3f,\"rate\":%.1f,"
         "\"in_flight\":%.1f,\"p50_us\":%u,\"p99_us\":%u}\n",
         latency_count, (unsigned long long)errors, taken, (double)latency_count / taken,
         (double)sum / 1e6 / taken, percentile(50), percentile(99));
}

static void show_pipe_size(void) {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) die("pipe");
  for (int size = 1 << 20; size > 4096; size /= 2) {
    if (fcntl(pipe_fds[0], F_SETPIPE_SZ, size) >= 0) break;
  }
  printf("%d\n", fcntl(pipe_fds[0], F_GETPIPE_SZ));
}

int main(int argc, char **argv) {
  struct sockaddr_storage address;
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (argc == 4 && strcmp(argv[1], "server") == 0) {
    serve(&address, parse_address(argv[2], argv[3], &address));
  } else if (argc == 6 && strcmp(argv[1], "client") == 0) {
    long concurrency = atol(argv[4]);
    double seconds = atof(argv[5]);
    if (concurrency < 1 || concurrency > MAX_CONCURRENCY || seconds <= 0) usage();
    load(&address, parse_address(argv[2], argv[3], &address), (uint32_t)concurrency, seconds);
  } else if (argc == 2 && strcmp(argv[1], "pipe") == 0) {
    show_pipe_size();
  } else {
    usage();
  }
  return 0;
}
