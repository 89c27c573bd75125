/* What the files of this folder share: each has one part of the gateway. Errors are an errno, with the step in *what. */
#pragma once
#include <stdint.h>

#include "gateway/gateway.h"
#include "gateway/messages/message.h"

/* --- links.c: the pair of devices: eth0 (under another name, if wanted) in the child's namespace, gw0 in the gateway's --- */

#define GATEWAY_DEVICE "gw0"

enum {
  /* lo is the first device of every network namespace. */
  LOOPBACK_INDEX = 1,
  /*
   * Of gw0. Unlike that of the other end: where both are the same, the kernel may take a second until it marks the child's
   * device as running (linkwatch_urgent_event() in its net/core/link_watch.c).
   */
  GATEWAY_INDEX = 1000,
};

/*
 * For the gateway namespace: makes the pair. `child_netns` is a descriptor of the child's network namespace. The hardware
 * addresses are made of the IPv4 addresses.
 */
void put_pair(struct batch *batch, const struct gateway_plan *plan, const struct gateway *gateway, int child_netns);
void make_hardware_addresses(const struct gateway_plan *plan, struct gateway *gateway);

/* Removes a device, and with it the other end. */
void put_removal(struct batch *batch, uint32_t index);

/* The index of a device in the namespace of that socket; 0 with an errno. */
uint32_t index_of(int socket, const char *name);

/* Keeps the kernel from making up addresses when the device comes up (IPv6 link-local, which are probed for duplicates). */
void put_no_link_local(struct batch *batch, uint32_t index);
void put_up(struct batch *batch, uint32_t index);

/* Gives a device of one of the two namespaces its addresses, and the hardware addresses of those at the other end. */
void put_child_addresses(struct batch *batch, const struct gateway_plan *plan, const struct gateway *gateway,
                         uint32_t index);
void put_gateway_addresses(struct batch *batch, const struct gateway_plan *plan, const struct gateway *gateway);

/* --- routing.c: routes and rules (ip-route(8), ip-rule(8)) ------------------------------------------------------- */

/* What comes from the child, and SYNs that are sent again, are for the gateway namespace itself, whatever the destination. */
void put_gateway_routing(struct batch *batch, const struct gateway_plan *plan);
/* The default routes of the child. */
void put_child_routes(struct batch *batch, const struct gateway_plan *plan, uint32_t index);
/* Those of the gateway namespace: networks that the child routes, such as those of containers, are behind the child. */
void put_return_routes(struct batch *batch, const struct gateway_plan *plan, uint32_t index);

/* --- settings.c: /proc/sys/net of the gateway namespace ---------------------------------------------------------- */

/*
 * Before there are devices other than lo, where devices are to have IPv6. Also called in the child's namespace. It is only off
 * there where the host's kernel was started so (ipv6.disable_ipv6=1).
 */
int switch_on_ipv6(const char **what);
/* Before there are devices other than lo. */
int apply_gateway_settings(const char **what);
/* Of the tracking of connections, where that translates their ports; once the packet filter is loaded. */
void apply_translation_settings(void);

/* --- packet_filter.c --------------------------------------------------------------------------------------------- */

/*
 * The rules of nf_tables in the gateway namespace, loaded in one transaction without nft(8). As that would list them:
 *
 *   table inet gateway {
 *     chain prerouting {
 *       type filter hook prerouting priority -149
 *       iif gw0 tcp flags & (fin|syn|rst|ack) == syn drop
 *       meta mark MARK meta l4proto tcp tproxy to :1 accept
 *       iif gw0 meta l4proto udp tproxy to :1 accept
 *       iif gw0 meta l4proto tcp accept
 *       iif gw0 icmp type echo-request drop
 *       iif gw0 icmpv6 type echo-request drop
 *       iif gw0 meta l4proto { icmp, icmpv6 } accept
 *       iif gw0 drop
 *     }
 *   }
 *
 * Where the kernel has no TPROXY, "iif gw0 meta l4proto udp accept" is in place of both its rules, and there are two chains
 * more (struct gateway, `translates`):
 *
 *     chain ports {
 *       type filter hook prerouting priority -300
 *       iif gw0 udp checksum 0 meta mark set udp dport udp dport set 1 accept     (no checksum to correct)
 *       iif gw0 meta l4proto udp meta mark set udp dport udp dport set 1 accept
 *     }
 *     chain connections {
 *       type nat hook prerouting priority -100
 *       meta mark MARK meta l4proto tcp dnat to :1
 *     }
 */

/* The port that the sockets in the gateway namespace are bound to. */
enum { LISTENER_PORT = 1 };

/* Before gw0 exists, which its rules name by its index. Sets *translates to whether it had to do without TPROXY. */
int load_packet_filter(uint32_t mark, int *translates, const char **what);

/* --- sockets.c: the sockets that the parent takes over ----------------------------------------------------------- */

/*
 * Opens them in the order of `sockets` in struct gateway:
 *
 *   packet-in    whole frames from the child that are a SYN of TCP, or an echo request (neither in fragments)
 *   packet-out   sends frames, with a struct virtio_net_hdr before each (PACKET_VNET_HDR in packet(7)), to any device there
 *   TCP, UDP     bound to LISTENER_PORT; UDP has the original destination as control messages (IP_RECVORIGDSTADDR; without
 *                TPROXY IP_PKTINFO, and the port as SO_RCVMARK), and may have several datagrams in one (UDP_GRO)
 */
int open_gateway_sockets(const struct gateway_plan *plan, struct gateway *gateway, const char **what);
/* To gw0. */
int bind_packet_in(const struct gateway *gateway, const char **what);
