#include "connect/address_watch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <utility>

namespace rn {

AddressWatch::AddressWatch(Loop& loop, bool routes, std::function<void()> changed)
    : loop_(loop),
      changed_(std::move(changed)),
      fd_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE)) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  // The kernel headers define no mask for IPv6 rules.
  constexpr uint32_t IPV6_RULE = 1u << (RTNLGRP_IPV6_RULE - 1);
  address.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
  if (routes) address.nl_groups |= RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE | IPV6_RULE;
  bool bound = fd_.valid() && bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (!bound || !loop_.watch(fd_.get(), EPOLLIN, this)) fd_.reset();
}

void AddressWatch::close() {
  if (fd_.valid()) loop_.unwatch(this);
  fd_.reset();
  loop_.deleteLater(this);
}

void AddressWatch::onEvents(uint32_t) {
  // Which address it is does not matter. ENOBUFS: there were more than the socket could hold.
  char buffer[8192];
  bool any = false;
  for (int i = 0; i < 64 && fd_.valid(); i++) {
    ssize_t n = recv(fd_.get(), buffer, sizeof buffer, 0);
    if (n >= 0 || errno == ENOBUFS) any = true;
    else if (errno != EINTR) break;
  }
  if (!any) return;
  progress();
  changed_();
}

}  // namespace rn
