#include "gateway/parts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { NEW = NLM_F_CREATE | NLM_F_EXCL };

void make_hardware_addresses(const struct gateway_plan *plan, struct gateway *gateway) {
  /* Locally administered, for one interface. */
  static const unsigned char head[2] = {0x52, 0x55};
  memcpy(gateway->child_mac, head, sizeof head);
  memcpy(gateway->child_mac + sizeof head, plan->ipv4.child, 4);
  memcpy(gateway->gateway_mac, head, sizeof head);
  memcpy(gateway->gateway_mac + sizeof head, plan->ipv4.gateway, 4);
}

static void put_device(struct batch *batch, const char *name, uint32_t mtu, const unsigned char *mac) {
  put_string(batch, IFLA_IFNAME, name);
  put_u32(batch, IFLA_MTU, mtu);
  put_attribute(batch, IFLA_ADDRESS, mac, HARDWARE_ADDRESS);
}

void put_pair(struct batch *batch, const struct gateway_plan *plan, const struct gateway *gateway, int child_netns) {
  struct ifinfomsg device = {.ifi_family = AF_UNSPEC}, here = {.ifi_family = AF_UNSPEC, .ifi_index = GATEWAY_INDEX};
  begin(batch, RTM_NEWLINK, NEW, "make a veth pair");
  put(batch, &here, sizeof here);
  put_device(batch, GATEWAY_DEVICE, plan->mtu, gateway->gateway_mac);
  size_t info = begin_nest(batch, IFLA_LINKINFO);
  put_string(batch, IFLA_INFO_KIND, "veth");
  size_t data = begin_nest(batch, IFLA_INFO_DATA);
  size_t peer = begin_nest(batch, VETH_INFO_PEER);
  put(batch, &device, sizeof device);
  put_device(batch, plan->ifname, plan->mtu, gateway->child_mac);
  put_u32(batch, IFLA_NET_NS_FD, (uint32_t)child_netns);
  end_nest(batch, peer);
  end_nest(batch, data);
  end_nest(batch, info);
}

void put_removal(struct batch *batch, uint32_t index) {
  struct ifinfomsg device = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};
  begin(batch, RTM_DELLINK, 0, "remove a veth pair");
  put(batch, &device, sizeof device);
}

uint32_t index_of(int socket, const char *name) {
  struct ifreq ifr = {0};
  size_t length = strlen(name);
  if (length >= sizeof ifr.ifr_name) {
    errno = ENAMETOOLONG;
    return 0;
  }
  memcpy(ifr.ifr_name, name, length + 1);
  return ioctl(socket, SIOCGIFINDEX, &ifr) == 0 ? (uint32_t)ifr.ifr_ifindex : 0;
}

void put_no_link_local(struct batch *batch, uint32_t index) {
  struct ifinfomsg device = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index};
  unsigned char mode = IN6_ADDR_GEN_MODE_NONE;
  begin(batch, RTM_NEWLINK, 0, "switch off link-local addresses of IPv6");
  put(batch, &device, sizeof device);
  size_t families = begin_nest(batch, IFLA_AF_SPEC);
  size_t family = begin_nest(batch, AF_INET6);
  put_attribute(batch, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
  end_nest(batch, family);
  end_nest(batch, families);
}

void put_up(struct batch *batch, uint32_t index) {
  struct ifinfomsg device = {.ifi_family = AF_UNSPEC,
                             .ifi_index = (int)index,
                             .ifi_flags = IFF_UP,
                             .ifi_change = IFF_UP};
  begin(batch, RTM_NEWLINK, 0, "bring up a device");
  put(batch, &device, sizeof device);
}

static size_t size_of(int family) { return family == AF_INET ? 4 : 16; }

static void put_address(struct batch *batch, uint32_t index, const struct gateway_addresses *addresses,
                        const unsigned char *address) {
  struct ifaddrmsg message = {.ifa_family = (unsigned char)addresses->family,
                              .ifa_prefixlen = addresses->prefix,
                              .ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD,
                              .ifa_scope = RT_SCOPE_UNIVERSE,
                              .ifa_index = index};
  size_t size = size_of(addresses->family);
  begin(batch, RTM_NEWADDR, NEW, addresses->family == AF_INET ? "add an address" : "add an address of IPv6");
  put(batch, &message, sizeof message);
  put_attribute(batch, IFA_LOCAL, address, size);
  if (addresses->family != AF_INET) return;
  uint32_t broadcast;
  memcpy(&broadcast, address, sizeof broadcast);
  broadcast |= htonl(UINT32_MAX >> addresses->prefix);
  put_attribute(batch, IFA_ADDRESS, address, size);
  put_attribute(batch, IFA_BROADCAST, &broadcast, sizeof broadcast);
}

static void put_neighbour(struct batch *batch, uint32_t index, const struct gateway_addresses *addresses,
                          const unsigned char *address, const unsigned char *mac) {
  struct ndmsg message = {.ndm_family = (unsigned char)addresses->family,
                          .ndm_ifindex = (int)index,
                          .ndm_state = NUD_PERMANENT};
  begin(batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "add a neighbour");
  put(batch, &message, sizeof message);
  put_attribute(batch, NDA_DST, address, size_of(addresses->family));
  put_attribute(batch, NDA_LLADDR, mac, HARDWARE_ADDRESS);
}

void put_child_addresses(struct batch *batch, const struct gateway_plan *plan, const struct gateway *gateway,
                         uint32_t index) {
  const struct gateway_addresses *families[] = {&plan->ipv4, &plan->ipv6};
  for (int i = 0; i < 2; i++) {
    if (families[i]->family == AF_UNSPEC) continue;
    put_address(batch, index, families[i], families[i]->child);
    put_neighbour(batch, index, families[i], families[i]->gateway, gateway->gateway_mac);
    put_neighbour(batch, index, families[i], families[i]->dns, gateway->gateway_mac);
  }
}

void put_gateway_addresses(struct batch *batch, const struct gateway_plan *plan, const struct gateway *gateway) {
  const struct gateway_addresses *families[] = {&plan->ipv4, &plan->ipv6};
  for (int i = 0; i < 2; i++) {
    if (families[i]->family == AF_UNSPEC) continue;
    put_address(batch, gateway->index, families[i], families[i]->gateway);
    put_neighbour(batch, gateway->index, families[i], families[i]->child, gateway->child_mac);
  }
}
