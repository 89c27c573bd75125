#include "return_path/local_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "system/fd.h"

namespace rn {

int addLoopbackAddress(const std::string& ip) {
  in_addr address;
  if (inet_pton(AF_INET, ip.c_str(), &address) != 1) return EINVAL;
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return errno;

  struct {
    nlmsghdr header;
    ifaddrmsg message;
    rtattr localHead;
    in_addr local;
    rtattr addressHead;
    in_addr address;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_NEWADDR;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
  request.message.ifa_family = AF_INET;
  request.message.ifa_prefixlen = 32;
  request.message.ifa_scope = RT_SCOPE_HOST;
  request.message.ifa_index = 1;  // lo is the first device of every network namespace
  request.localHead = {RTA_LENGTH(sizeof(in_addr)), IFA_LOCAL};
  request.local = address;
  request.addressHead = {RTA_LENGTH(sizeof(in_addr)), IFA_ADDRESS};
  request.address = address;
  if (send(fd.get(), &request, sizeof request, 0) < 0) return errno;

  alignas(nlmsghdr) char reply[1024];
  ssize_t n = recv(fd.get(), reply, sizeof reply, 0);
  if (n < ssize_t(NLMSG_LENGTH(sizeof(nlmsgerr)))) return n < 0 ? errno : EPROTO;
  nlmsgerr result;
  memcpy(&result, reply + NLMSG_HDRLEN, sizeof result);
  return -result.error;
}

}  // namespace rn
