#include "gateway/gateway.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "gateway/parts.h"

/* Connects both namespaces; `sockets` are those of rtnetlink in the child's and in this one. */
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

  *what = "find the veth pair";
  gateway->index = GATEWAY_INDEX;
  uint32_t child_index = index_of(child, plan->ifname);
  if (child_index == 0) return errno;

  batch_clear(&batch);
  put_up(&batch, LOOPBACK_INDEX);
  put_up(&batch, gateway->index);
  put_gateway_addresses(&batch, plan, gateway);
  put_gateway_routing(&batch, plan);
  error = send_batch(&batch, here, what);
  if (error != 0) return error;

  batch_clear(&batch);
  put_up(&batch, child_index);
  put_child_addresses(&batch, plan, gateway, child_index);
  put_child_routes(&batch, plan, child_index);
  return send_batch(&batch, child, what);
}

int make_gateway(const struct gateway_plan *plan, struct gateway *gateway, const char **what) {
  int sockets[2];
  *what = "open a netlink socket";
  sockets[0] = open_netlink(NETLINK_ROUTE);
  if (sockets[0] < 0) return errno;
  *what = "unshare net";
  if (unshare(CLONE_NEWNET) != 0) return errno;
  *what = "open a netlink socket";
  sockets[1] = open_netlink(NETLINK_ROUTE);
  if (sockets[1] < 0) return errno;

  int error = apply_gateway_settings(what);
  if (error == 0) error = connect_namespaces(plan, gateway, sockets, what);
  if (error == 0) error = load_packet_filter(gateway->index, plan->mark, what);
  if (error == 0) error = open_gateway_sockets(plan, gateway, what);
  return error;
}
