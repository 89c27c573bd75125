#include "gateway/parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in6.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* Newer than some headers. */
enum { IGNORE_OUTGOING = 23, UDP_RECEIVE_MERGED = 104, RECEIVE_MARK = 75 };

/* The kernel gives what net.core.rmem_max, wmem_max and somaxconn allow. */
enum { BUFFER = 4 * 1024 * 1024, BACKLOG = 16384 };

enum {
  IP4 = ETH_HLEN,
  IP6 = ETH_HLEN,
  AFTER_IP6 = IP6 + 40,
  TCP_FLAGS = 13,
  KINDS = TH_FIN | TH_SYN | TH_RST | TH_ACK,
  MORE_FRAGMENTS_OR_OFFSET = 0x3fff,
  WHOLE = 0x40000,
};

#define LOAD_BYTE(at) BPF_STMT(BPF_LD | BPF_B | BPF_ABS, at)
#define LOAD_HALF(at) BPF_STMT(BPF_LD | BPF_H | BPF_ABS, at)
#define LOAD_BYTE_AFTER_IP4(at) BPF_STMT(BPF_LD | BPF_B | BPF_IND, IP4 + (at))
/* `yes` and `no` count the instructions that are left out. */
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define IF_ANY(bits, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, yes, no)
#define AND(bits) BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits)
#define PASS(size) BPF_STMT(BPF_RET | BPF_K, size)

/* What packet-in passes. A load beyond the end of a frame drops it. */
static struct sock_filter frames[] = {
    /*  0 */ LOAD_BYTE(SKF_AD_OFF + SKF_AD_PKTTYPE),
    /*  1 */ IF_EQUAL(PACKET_OUTGOING, 23, 0),
    /*  2 */ LOAD_HALF(offsetof(struct ethhdr, h_proto)),
    /*  3 */ IF_EQUAL(ETH_P_IP, 1, 0),
    /*  4 */ IF_EQUAL(ETH_P_IPV6, 11, 20),

    /*  5 */ LOAD_HALF(IP4 + 6),
    /*  6 */ IF_ANY(MORE_FRAGMENTS_OR_OFFSET, 18, 0),
    /*  7 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, IP4),
    /*  8 */ LOAD_BYTE(IP4 + 9),
    /*  9 */ IF_EQUAL(IPPROTO_TCP, 3, 0),
    /* 10 */ IF_EQUAL(IPPROTO_ICMP, 0, 14),
    /* 11 */ LOAD_BYTE_AFTER_IP4(0),
    /* 12 */ IF_EQUAL(ICMP_ECHO, 11, 12),
    /* 13 */ LOAD_BYTE_AFTER_IP4(TCP_FLAGS),
    /* 14 */ AND(KINDS),
    /* 15 */ IF_EQUAL(TH_SYN, 8, 9),

    /* 16 */ LOAD_BYTE(IP6 + 6),
    /* 17 */ IF_EQUAL(IPPROTO_TCP, 3, 0),
    /* 18 */ IF_EQUAL(IPPROTO_ICMPV6, 0, 6),
    /* 19 */ LOAD_BYTE(AFTER_IP6),
    /* 20 */ IF_EQUAL(ICMP6_ECHO_REQUEST, 3, 4),
    /* 21 */ LOAD_BYTE(AFTER_IP6 + TCP_FLAGS),
    /* 22 */ AND(KINDS),
    /* 23 */ IF_EQUAL(TH_SYN, 0, 1),
    /* 24 */ PASS(WHOLE),
    /* 25 */ PASS(0),
};

static int keep(struct gateway *gateway, int fd) {
  if (fd < 0) return errno;
  gateway->sockets[gateway->socket_count++] = fd;
  return 0;
}

static int set(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : errno;
}

/* It receives nothing before it is bound. */
static int open_packet_in(struct gateway *gateway) {
  struct sock_fprog program = {sizeof frames / sizeof *frames, frames};
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = keep(gateway, fd);
  if (error != 0) return error;
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) return errno;
  /* Only saves work: the filter drops these, too. */
  set(fd, SOL_PACKET, IGNORE_OUTGOING, 1);
  set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
  return 0;
}

int bind_packet_in(const struct gateway *gateway, const char **what) {
  struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                .sll_protocol = htons(ETH_P_ALL),
                                .sll_ifindex = (int)gateway->index};
  *what = "bind a packet socket";
  return bind(gateway->sockets[0], (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
}

static int open_packet_out(struct gateway *gateway, uint32_t mark) {
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = keep(gateway, fd);
  if (error == 0) error = set(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
  if (error == 0) error = set(fd, SOL_SOCKET, SO_MARK, (int)mark);
  set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER);
  return error;
}

/* Binds to the wildcard address of that family; replies may come from any. */
static int bind_transparently(int fd, int family) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(LISTENER_PORT)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(LISTENER_PORT)};
  int error = family == AF_INET ? set(fd, SOL_IP, IP_TRANSPARENT, 1) : set(fd, SOL_IPV6, IPV6_V6ONLY, 1);
  if (error == 0 && family == AF_INET6) error = set(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
  if (error != 0) return error;
  const struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
  return bind(fd, address, family == AF_INET ? sizeof v4 : sizeof v6) == 0 ? 0 : errno;
}

static int open_tcp(struct gateway *gateway, int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = keep(gateway, fd);
  if (error == 0) error = bind_transparently(fd, family);
  if (error != 0) return error;
  return listen(fd, BACKLOG) == 0 ? 0 : errno;
}

static int receive_destinations(int fd, int family) {
  return family == AF_INET ? set(fd, SOL_IP, IP_RECVORIGDSTADDR, 1) : set(fd, SOL_IPV6, IPV6_RECVORIGDSTADDR, 1);
}

/* The address and the mark instead, which has the port. */
static int receive_marked_destinations(int fd, int family, const char **what) {
  int error = family == AF_INET ? set(fd, SOL_IP, IP_PKTINFO, 1) : set(fd, SOL_IPV6, IPV6_RECVPKTINFO, 1);
  if (error != 0) return error;
  *what = "receive the mark of datagrams";
  return set(fd, SOL_SOCKET, RECEIVE_MARK, 1);
}

static int open_udp(struct gateway *gateway, int family, const char **what) {
  int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int error = keep(gateway, fd);
  if (error != 0) return error;
  error = gateway->translates ? receive_marked_destinations(fd, family, what) : receive_destinations(fd, family);
  if (error != 0) return error;
  set(fd, IPPROTO_UDP, UDP_RECEIVE_MERGED, 1);
  set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER);
  return bind_transparently(fd, family);
}

int open_gateway_sockets(const struct gateway_plan *plan, struct gateway *gateway, const char **what) {
  const int families[] = {plan->ipv4.family, plan->ipv6.family};
  *what = "open a packet socket";
  int error = open_packet_in(gateway);
  if (error == 0) error = open_packet_out(gateway, plan->mark);
  for (int i = 0; error == 0 && i < 2; i++) {
    if (families[i] == AF_UNSPEC) continue;
    *what = "open a transparent socket";
    error = open_tcp(gateway, families[i]);
    if (error == 0) error = open_udp(gateway, families[i], what);
  }
  return error;
}
