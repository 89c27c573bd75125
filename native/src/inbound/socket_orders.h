/*
 * Sockets that the parent orders of the launcher while the stack runs, for connections of published ports that it makes
 * in the gateway namespace (gateway/gateway.h): no process is there that could make them.
 *
 * Theory of operation. The parent keeps one end of a SOCK_SEQPACKET socketpair, and the launcher has the other. A packet
 * is one order, with a socket of the gateway namespace: that is entered by it (SIOCGSKNS), so the launcher need not keep
 * a descriptor of it. Each order is served by a process of its own, since a launcher that enters another network
 * namespace cannot always return to its own (with a detached one it is the host's). The reply has the id of the order
 * and as many sockets as could be made, which may be none. Replies come in any order.
 *
 * Orders are of the parent, which is trusted. The parent checks what it gets: root inside may control the launcher.
 *
 * Sources: sockios.h of the kernel (SIOCGSKNS), setns(2), unix(7), ip(7).
 */
#pragma once
#include <stdint.h>

/* The namespace that sockets are made in. */
enum socket_place { IN_GATEWAY = 0, IN_CHILD = 1 };

/* unix(7): SCM_MAX_FD is 253. */
enum { MOST_ORDERED = 128 };

struct socket_order {
  uint32_t id;
  uint32_t place;
  /* As socket(2) has them; sockets of AF_INET and AF_INET6 are non-blocking. */
  int32_t domain, type, protocol;
  uint32_t count;
};

/* For the launcher. */
#ifndef __cplusplus
/*
 * Serves the order that is waiting there, in a process of its own. `enter_child` has that enter the child's network
 * namespace, and returns an errno. Returns -1 when there will be no more orders, else 0.
 */
int serve_socket_order(int orders, int (*enter_child)(void));
#endif
