#include "netlink/udp_peers.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <string>
#include <string_view>

#include "netlink/netlink.h"
#include "netlink/netlink_message.h"
#include "system/fd.h"

namespace rn {

namespace {
void put(const Address& address, __be32* ip, __be16* port) {
  bool v4 = address.family() == AF_INET;
  if (v4) {
    memcpy(ip, &address.v4.sin_addr, sizeof address.v4.sin_addr);
  } else {
    memcpy(ip, &address.v6.sin6_addr, sizeof address.v6.sin6_addr);
  }
  *port = v4 ? address.v4.sin_port : address.v6.sin6_port;
}
}  // namespace

int findSocket(int diag, uint8_t protocol, const Address& local, const Address& remote, inet_diag_msg* found) {
  inet_diag_req_v2 body{};
  body.sdiag_family = uint8_t(local.family());
  body.sdiag_protocol = protocol;
  body.idiag_states = ~0u;
  // For UDP the kernel takes the far end for the source.
  const Address& source = protocol == IPPROTO_UDP ? remote : local;
  const Address& destination = protocol == IPPROTO_UDP ? local : remote;
  put(source, body.id.idiag_src, &body.id.idiag_sport);
  put(destination, body.id.idiag_dst, &body.id.idiag_dport);
  body.id.idiag_cookie[0] = body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;

  std::string message, answer;
  { netlink::MessageBuilder(&message, SOCK_DIAG_BY_FAMILY, 0).put(body); }
  int error = netlink::ask(diag, &message, &answer);
  if (error != 0) return error;
  error = EPROTO;
  netlink::eachMessage(answer, [&](const nlmsghdr& header, std::string_view payload) {
    if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY && payload.size() >= sizeof *found) {
      memcpy(found, payload.data(), sizeof *found);
      error = 0;
    }
  });
  return error;
}

bool isConnectedUdp(const Address& from, const Address& to, int diag) {
  Fd own;
  if (diag < 0) {
    int raw;
    if (netlink::open(NETLINK_SOCK_DIAG, "", &raw) != 0) return true;
    own.reset(raw);
    diag = raw;
  }
  inet_diag_msg found;
  int error = findSocket(diag, IPPROTO_UDP, from, to, &found);
  if (error != 0) return error != ENOENT;
  // An unconnected socket is found as well.
  __be32 ip[4] = {};
  __be16 port;
  put(to, ip, &port);
  return found.id.idiag_dport == port && memcmp(found.id.idiag_dst, ip, sizeof ip) == 0;
}

}  // namespace rn
