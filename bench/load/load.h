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

/* latency.c: times of one run, and how they are spread. Begins as {0}. */
struct latencies {
  uint32_t *nanoseconds; /* at most four seconds each */
  size_t count, room;
};
void latency_record(struct latencies *all, uint64_t nanoseconds);
double latency_sum(const struct latencies *all);
/* Writes "p50_us":N,"p99_us":N,"quantiles_us":{"0":N,…,"100":N} */
void latency_print(struct latencies *all);

/* streams.c: bulk streams that run in threads of their own for so many seconds from now on. */
struct stream;
struct stream *begin_streams(const struct target *target, unsigned count, double seconds);
/* Waits for their end; returns the number of bytes that arrived. */
uint64_t finish_streams(struct stream *streams, unsigned count);

/* The beginning of each datagram. Answers have no more; what is to come back is sent back whole. */
struct datagram {
  uint64_t kind;
  uint64_t run;
  uint64_t received;
  uint64_t nanoseconds; /* between the first and the last */
};
enum datagram_kind { DATA = 1, QUERY = 2, ANSWER = 3, BACK = 4 };
int make_datagram_socket(const struct target *target);

/* Each runs one mode. */
void serve(const struct target *target);
void make_connections(const struct target *target, uint32_t concurrency, double seconds);
void send_streams(const struct target *target, unsigned count, double seconds);
void ping(const struct target *target, double seconds);
void hold(const struct target *target, uint32_t count);
void serve_udp(const struct target *target);
void flood_udp(const struct target *target, size_t size, double seconds);
void send_mixed(const struct target *target, unsigned count, double seconds);
void ask_names(const struct target *target, const char *name, uint32_t count, double seconds);
void use_flows(const struct target *target, uint32_t count, double seconds);

#endif
