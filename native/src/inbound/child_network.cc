#include "inbound/child_network.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <algorithm>
#include <iterator>

#include "netlink/netlink.h"
#include "netlink/netlink_message.h"
#include "netlink/udp_peers.h"

namespace rn {

namespace {
bool isNetlink(int fd, int protocol) {
  int value = -1;
  socklen_t length = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &length) != 0 || value != AF_NETLINK) return false;
  return getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &length) == 0 && value == protocol;
}
}  // namespace

bool ChildNetwork::open(Fd diag, Fd route, const std::string& device) {
  if (!isNetlink(diag.get(), NETLINK_SOCK_DIAG) || !isNetlink(route.get(), NETLINK_ROUTE)) return false;
  ifreq request{};
  if (device.size() >= sizeof request.ifr_name) return false;
  memcpy(request.ifr_name, device.data(), device.size());
  if (ioctl(route.get(), SIOCGIFINDEX, &request) != 0) return false;
  index_ = uint32_t(request.ifr_ifindex);
  diag_ = std::move(diag);
  route_ = std::move(route);
  return true;
}

ChildNetwork::Listener ChildNetwork::listenerFor(int type, const Address& local, const Address& client) const {
  inet_diag_msg found;
  if (findSocket(diag_.get(), type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP, local, client, &found) != 0) {
    return Listener::none;
  }
  bool every = std::all_of(std::begin(found.id.idiag_src), std::end(found.id.idiag_src), [](auto n) { return n == 0; });
  return every ? Listener::everyAddress : Listener::oneAddress;
}

bool ChildNetwork::leadsOut(const Address& own, const Address& client) const {
  std::string message, answer;
  {
    netlink::MessageBuilder builder(&message, RTM_GETROUTE, 0);
    uint8_t bits = uint8_t(8 * client.ipBytes().size());
    rtmsg head{};
    head.rtm_family = uint8_t(client.family());
    head.rtm_dst_len = head.rtm_src_len = bits;
    builder.put(head);
    builder.attribute(RTA_DST, client.ipBytes().data(), client.ipBytes().size());
    builder.attribute(RTA_SRC, own.ipBytes().data(), own.ipBytes().size());
  }
  if (netlink::ask(route_.get(), &message, &answer) != 0) return false;
  bool unicast = false, device = false, gateway = false;
  netlink::eachMessage(answer, [&](const nlmsghdr& header, std::string_view payload) {
    rtmsg route;
    if (header.nlmsg_type != RTM_NEWROUTE || payload.size() < sizeof route) return;
    memcpy(&route, payload.data(), sizeof route);
    unicast = route.rtm_type == RTN_UNICAST;
    netlink::eachAttribute(payload.substr(NLMSG_ALIGN(sizeof route)), [&](uint16_t type, std::string_view value) {
      uint32_t index = 0;
      if (type == RTA_OIF && value.size() == sizeof index) memcpy(&index, value.data(), sizeof index);
      if (type == RTA_OIF) device = index == index_;
      if (type == RTA_GATEWAY) gateway = true;
    });
  });
  return unicast && device && gateway;
}

}  // namespace rn
