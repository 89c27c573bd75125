/*
 * The gateway namespace of the network driver `builtin`.
 *
 * Theory of operation. The child's network namespace has a device (eth0) whose other end (gw0) is in a second network
 * namespace of the same user namespace. No process stays in that one: sockets that are opened in it here are passed to the
 * parent, and keep it alive; when they are closed, it goes, and with it both devices.
 *
 * In the gateway namespace every packet that comes in through gw0 is for the namespace itself, whatever its destination
 * (policy routing to a table with a local default route), and TPROXY leads TCP and UDP to sockets of the parent's, which
 * find the original destination as their local address:
 *
 *   SYN            dropped by the packet filter; the parent sees a copy at the packet socket `packet-in`, connects on the host,
 *                  and sends the same SYN again, marked, through `packet-out` to lo once that has succeeded
 *   marked SYN     TPROXY to the listener
 *   other TCP      the ordinary way: to connections that were accepted
 *   UDP            TPROXY to the UDP socket; the parent sends answers as packets through `packet-out`
 *   echo requests  dropped; the parent sees them at `packet-in`
 *
 * Without TPROXY the addresses stay, and ports are changed to that of the sockets, in packets of the connections that begin with
 * a marked SYN by the kernel's NAT, which remembers the original one (SO_ORIGINAL_DST), and in datagrams one by one, with the
 * original port as the mark (SO_RCVMARK, Linux 5.19).
 *
 * Sources may be addresses of networks that the child routes (containers): what is for them goes back through the child.
 *
 * Hardware addresses of both ends are made of their IPv4 addresses and known on the other side (permanent neighbours), and
 * addresses are not probed for duplicates: nothing waits for an answer.
 *
 * Sources: rtnetlink(7), ip-rule(8), packet(7), ip(7), Documentation/networking/tproxy.rst and
 * include/uapi/linux/netfilter/nf_tables.h of the kernel.
 */
#pragma once
#include <stdint.h>

enum { GATEWAY_SOCKETS = 6, HARDWARE_ADDRESS = 6 };

/* Addresses of one family; `family` is AF_UNSPEC where it is not used. */
struct gateway_addresses {
  int family;
  unsigned char prefix;
  unsigned char child[16];
  unsigned char gateway[16];
  /* Another address behind the gateway. */
  unsigned char dns[16];
};

struct gateway_plan {
  /* Name of the device in the child's namespace. */
  const char *ifname;
  uint32_t mtu;
  /* SO_MARK of what goes out through `packet-out`. */
  uint32_t mark;
  struct gateway_addresses ipv4, ipv6;
};

struct gateway {
  /* Of gw0, in the gateway namespace. */
  uint32_t index;
  unsigned char child_mac[HARDWARE_ADDRESS], gateway_mac[HARDWARE_ADDRESS];
  /* Whether ports are changed, for want of TPROXY. */
  int translates;
  /* packet-in, packet-out, TCP and UDP over IPv4, and then over IPv6, if used: all are non-blocking. */
  int sockets[GATEWAY_SOCKETS];
  int socket_count;
};

/*
 * Makes the gateway of the network namespace that this process is in; afterwards it is in the gateway namespace. Returns 0,
 * or an errno, and the step that failed in *what, such as "make a veth pair". Descriptors stay open in any case: this is for
 * a process that ends soon.
 */
int make_gateway(const struct gateway_plan *plan, struct gateway *gateway, const char **what);
