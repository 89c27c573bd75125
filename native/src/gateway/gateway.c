#include "gateway/gateway.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "gateway/parts.h"

/* What does not need the pair of devices: without it a failure leaves nothing in the child's namespace. */
static int set_up_here(const struct gateway_plan *plan, struct gateway *gateway, int here, const char **what) {
  struct batch batch;
  batch_clear(&batch);
  put_up(&batch, LOOPBACK_INDEX);
  put_gateway_routing(&batch, plan);
  int error = apply_gateway_settings(what);
  if (error == 0 && plan->ipv6.family != AF_UNSPEC) error = switch_on_ipv6(what);
  if (error == 0) error = send_batch(&batch, here, what);
  if (error == 0) error = load_packet_filter(plan->mark, &gateway->translates, what);
  if (error == 0 && gateway->translates) apply_translation_settings();
  if (error == 0) error = open_gateway_sockets(plan, gateway, what);
  return error;
}

/* A device without addresses; a kernel without IPv6 makes up none. `socket` is one of rtnetlink in its namespace. */
static int quieten(const struct gateway_plan *plan, int socket, uint32_t index, const char **what) {
  struct batch batch;
  batch_clear(&batch);
  put_no_link_local(&batch, index);
  int error = send_batch(&batch, socket, what);
  return error == EAFNOSUPPORT && plan->ipv6.family == AF_UNSPEC ? 0 : error;
}

/* Once the pair exists: its addresses and routes; `sockets` are those of rtnetlink in the child's namespace and in this. */
static int set_up_pair(const struct gateway_plan *plan, struct gateway *gateway, const int sockets[2],
                       const char **what) {
  int child = sockets[0], here = sockets[1];
  struct batch batch;
  *what = "find the veth pair";
  uint32_t child_index = index_of(child, plan->ifname);
  if (child_index == 0) return errno;
  /* Not with IFF_UP in one message: the kernel would bring the device up first. */
  int error = quieten(plan, here, gateway->index, what);
  if (error == 0) error = quieten(plan, child, child_index, what);
  if (error != 0) return error;
  batch_clear(&batch);
  put_up(&batch, gateway->index);
  put_gateway_addresses(&batch, plan, gateway);
  put_return_routes(&batch, plan, gateway->index);
  error = send_batch(&batch, here, what);
  if (error != 0) return error;
  batch_clear(&batch);
  put_up(&batch, child_index);
  put_child_addresses(&batch, plan, gateway, child_index);
  put_child_routes(&batch, plan, child_index);
  error = send_batch(&batch, child, what);
  return error != 0 ? error : bind_packet_in(gateway, what);
}

static int connect_namespaces(const struct gateway_plan *plan, struct gateway *gateway, const int sockets[2],
                              const char **what) {
  int child = sockets[0], here = sockets[1];
  struct batch batch;
  *what = "find the child's network namespace";
  int child_netns = ioctl(child, SIOCGSKNS);
  if (child_netns < 0) return errno;
  make_hardware_addresses(plan, gateway);
  batch_clear(&batch);
  put_pair(&batch, plan, gateway, child_netns);
  int error = send_batch(&batch, here, what);
  if (error != 0) return error;
  error = set_up_pair(plan, gateway, sockets, what);
  if (error == 0) return 0;
  /* At once: with this namespace it would go later, when another network may have been set up. */
  const char *ignored;
  batch_clear(&batch);
  put_removal(&batch, gateway->index);
  send_batch(&batch, here, &ignored);
  return error;
}

int make_gateway(const struct gateway_plan *plan, struct gateway *gateway, const char **what) {
  int sockets[2];
  gateway->index = GATEWAY_INDEX;
  *what = "open a netlink socket";
  sockets[0] = open_netlink(NETLINK_ROUTE);
  if (sockets[0] < 0) return errno;
  if (plan->ipv6.family != AF_UNSPEC) {
    int error = switch_on_ipv6(what);
    if (error != 0) return error;
  }
  *what = "unshare net";
  if (unshare(CLONE_NEWNET) != 0) return errno;
  *what = "open a netlink socket";
  sockets[1] = open_netlink(NETLINK_ROUTE);
  if (sockets[1] < 0) return errno;

  int error = set_up_here(plan, gateway, sockets[1], what);
  return error != 0 ? error : connect_namespaces(plan, gateway, sockets, what);
}
