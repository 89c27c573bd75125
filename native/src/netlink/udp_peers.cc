#include "netlink/udp_peers.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <string>

#include "netlink/netlink.h"
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

bool isConnectedUdp(const Address& from, const Address& to) {
  int raw;
  if (netlink::open(NETLINK_SOCK_DIAG, "", &raw) != 0) return true;
  Fd fd(raw);
  inet_diag_sockid wanted{};
  put(from, wanted.idiag_src, &wanted.idiag_sport);
  put(to, wanted.idiag_dst, &wanted.idiag_dport);

  struct {
    nlmsghdr header;
    inet_diag_req_v2 body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.body.sdiag_family = uint8_t(from.family());
  request.body.sdiag_protocol = IPPROTO_UDP;
  request.body.idiag_states = ~0u;
  // The kernel looks up a single UDP socket as a packet to it would: the far end is the source.
  put(to, request.body.id.idiag_src, &request.body.id.idiag_sport);
  put(from, request.body.id.idiag_dst, &request.body.id.idiag_dport);
  request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;

  std::string answers;
  std::string message(reinterpret_cast<const char*>(&request), sizeof request);
  if (netlink::exchange(fd.get(), message, 1, &answers) != 0 || answers.size() < NLMSG_HDRLEN) return true;
  nlmsghdr header;
  memcpy(&header, answers.data(), sizeof header);
  if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY && answers.size() >= NLMSG_HDRLEN + sizeof(inet_diag_msg)) {
    // An unconnected socket is found as well.
    inet_diag_msg found;
    memcpy(&found, answers.data() + NLMSG_HDRLEN, sizeof found);
    return found.id.idiag_dport == wanted.idiag_dport &&
           memcmp(found.id.idiag_dst, wanted.idiag_dst, sizeof wanted.idiag_dst) == 0;
  }
  if (header.nlmsg_type != NLMSG_ERROR || answers.size() < NLMSG_HDRLEN + sizeof(nlmsgerr)) return true;
  nlmsgerr result;
  memcpy(&result, answers.data() + NLMSG_HDRLEN, sizeof result);
  return result.error != -ENOENT;
}

}  // namespace rn
