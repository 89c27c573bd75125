/* Many clients that each send datagrams and have them back, or DNS queries and have answers: first one after the other, which
 * shows what a new client's first datagram takes; then for some time a few at once, by turns, so that each client has about as
 * many. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "load.h"

enum { EVENTS = 64, AT_ONCE = 64, SIZE = 64, LOST_MS = 200, DNS_SIZE = 512, DNS_HEADER = 12 };

struct flow {
  int fd;
  uint64_t sent;   /* 0 if nothing is on its way */
  uint64_t number; /* of the datagram that is on its way */
};

static struct flow *flows;
static uint64_t numbers, lost, wrong;

/* The query, without its id; empty where datagrams are to come back as they are. */
static unsigned char query[DNS_SIZE];
static size_t query_length;

/* A question for the address of a name. */
static void make_query(const char *name) {
  static const unsigned char head[DNS_HEADER] = {0, 0, 1, 0, 0, 1}, tail[] = {0, 0, 1, 0, 1};
  if (strlen(name) > 253) usage();
  memcpy(query, head, sizeof head);
  unsigned char *to = query + sizeof head;
  for (const char *label = name; *label;) {
    size_t length = strcspn(label, ".");
    if (length == 0 || length > 63) usage();
    *to++ = (unsigned char)length;
    memcpy(to, label, length);
    to += length;
    label += length + (label[length] == '.');
  }
  memcpy(to, tail, sizeof tail);
  query_length = (size_t)(to - query) + sizeof tail;
}

static void send_next(struct flow *flow) {
  union {
    struct datagram header;
    char bytes[SIZE];
  } datagram = {.header = {.kind = BACK, .run = ++numbers}};
  flow->number = numbers;
  flow->sent = now_ns();
  if (query_length > 0) {
    query[0] = (unsigned char)(numbers >> 8);
    query[1] = (unsigned char)numbers;
    send(flow->fd, query, query_length, 0);
    return;
  }
  /* What cannot be sent is as lost as what does not come back. */
  send(flow->fd, &datagram, sizeof datagram, 0);
}

/* Whether that is an answer to the query; one that has no address is counted. */
static int is_reply(const struct flow *flow, const unsigned char *reply, ssize_t length) {
  if (length < DNS_HEADER || reply[0] != (unsigned char)(flow->number >> 8) || reply[1] != (unsigned char)flow->number)
    return 0;
  if ((reply[3] & 0xf) != 0 || (reply[6] == 0 && reply[7] == 0)) wrong++;
  return 1;
}

static int receive_reply(struct flow *flow, struct latencies *latencies) {
  unsigned char reply[DNS_SIZE];
  ssize_t got = recv(flow->fd, reply, sizeof reply, MSG_DONTWAIT);
  if (flow->sent == 0 || !is_reply(flow, reply, got)) return 0;
  latency_record(latencies, now_ns() - flow->sent);
  flow->sent = 0;
  return 1;
}

/* Receives an answer; false if it is none to the datagram on its way. */
static int receive(struct flow *flow, struct latencies *latencies) {
  if (query_length > 0) return receive_reply(flow, latencies);
  struct datagram answer;
  ssize_t got = recv(flow->fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_TRUNC);
  if (got != SIZE || flow->sent == 0 || answer.run != flow->number) return 0;
  latency_record(latencies, now_ns() - flow->sent);
  flow->sent = 0;
  return 1;
}

static void open_one(struct flow *flow, const struct target *target, int epoll, struct latencies *first) {
  flow->fd = make_datagram_socket(target);
  if (connect(flow->fd, (const struct sockaddr *)&target->address, target->length) != 0) die("connect");
  send_next(flow);
  struct pollfd wait = {.fd = flow->fd, .events = POLLIN};
  if (poll(&wait, 1, LOST_MS) < 1 || !receive(flow, first)) lost++;
  flow->sent = 0;
  watch(epoll, EPOLL_CTL_ADD, flow->fd, EPOLLIN, (uint32_t)(flow - flows));
}

/* Gives up what has been on its way for long; returns how many. */
static unsigned give_up(uint32_t count, uint64_t now) {
  unsigned given_up = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (flows[i].sent == 0 || now - flows[i].sent < LOST_MS * 1000000ull) continue;
    flows[i].sent = 0;
    given_up++;
  }
  lost += given_up;
  return given_up;
}

void use_flows(const struct target *target, uint32_t count, double seconds) {
  struct latencies first = {0}, later = {0};
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  flows = calloc(count, sizeof *flows);
  if (epoll < 0 || !flows) die("epoll_create1");
  for (uint32_t i = 0; i < count; i++) open_one(&flows[i], target, epoll, &first);
  if (first.count == 0) {
    fputs("bench_load: no datagram came back\n", stderr);
    exit(1);
  }
  uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9), looked = start, now;
  uint32_t next = 0;
  unsigned on_way = 0;
  while ((now = now_ns()) < end) {
    /* No client has two on their way. */
    for (uint32_t tried = 0; on_way < AT_ONCE && tried < count; tried++, next = (next + 1) % count) {
      if (flows[next].sent != 0) continue;
      send_next(&flows[next]);
      on_way++;
    }
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(epoll, events, EVENTS, LOST_MS);
    for (int i = 0; i < ready; i++) on_way -= (unsigned)receive(&flows[events[i].data.u32], &later);
    if (now - looked < LOST_MS * 1000000ull) continue;
    on_way -= give_up(count, now);
    looked = now;
  }
  double taken = (double)(now - start) / 1e9;
  printf("{\"flows\":%u,\"answers\":%zu,\"wrong\":%llu,\"seconds\":%.3f,\"rate\":%.1f,\"lost\":%.4f,\"first\":{", count,
         later.count, (unsigned long long)wrong, taken, (double)later.count / taken,
         (double)lost / (double)(first.count + later.count + lost));
  latency_print(&first);
  printf("},");
  latency_print(&later);
  puts("}");
}

void ask_names(const struct target *target, const char *name, uint32_t count, double seconds) {
  make_query(name);
  use_flows(target, count, seconds);
}
