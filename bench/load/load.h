/* Shared by the parts of bench_load; main.c describes the program. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct target {
  struct sockaddr_storage address;
  socklen_t length;
};

/* The first byte that a client sends selects what the server does with the connection. */
enum { ECHO = 'e', SINK = 's' };

/* Ends the program with a message and errno's text. */
_Noreturn void die(const char *what);
_Noreturn void usage(void);
/* Of the monotonic clock. */
uint64_t now_ns(void);
/* Waits for events on one more descriptor, or for other ones if operation is EPOLL_CTL_MOD. */
void watch(int epoll, int operation, int fd, uint32_t events, uint32_t value);
/* A blocking TCP connection that sends small messages at once. */
int connect_to(const struct target *target);
void set_no_delay(int fd);

/* latency.c: times of one run, and how they are spread. */
void latency_record(uint64_t nanoseconds);
size_t latency_count(void);
double latency_sum(void);
/* Writes "p50_us":N,"p99_us":N,"quantiles_us":{"0":N,…,"100":N} */
void latency_print(void);

/* Each runs one mode. */
void serve(const struct target *target);
void make_connections(const struct target *target, uint32_t concurrency, double seconds);
void send_streams(const struct target *target, unsigned count, double seconds);
void ping(const struct target *target, double seconds);
void hold(const struct target *target, uint32_t count);
void serve_udp(const struct target *target);
void flood_udp(const struct target *target, size_t size, double seconds);

#endif
