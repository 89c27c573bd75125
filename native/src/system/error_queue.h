// Errors of the network that a socket keeps for its program (ip(7), IP_RECVERR), with what they are about.
#pragma once
// Needed by the next one.
#include <time.h>

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <string_view>

namespace rn {

namespace errorQueue {

struct Entry {
  // 0 where it is not from the network: a timestamp and the like.
  int error = 0;
  // Datagram sockets that do not ask for such errors do not get this one (RFC 1122, 4.2.3.9, calls it soft).
  bool soft = false;
  // The beginning of what was sent, of ICMP with its header. Valid until the next call.
  std::string_view sent;
};

// So many in one round of events.
constexpr int kMost = 64;

// What icmp_err_convert and icmpv6_err_convert in Linux do not count as fatal.
inline bool isSoft(const sock_extended_err& error) {
  if (error.ee_origin == SO_EE_ORIGIN_ICMP6) {
    return error.ee_type == ICMP6_DST_UNREACH && error.ee_errno != EACCES && error.ee_errno != ECONNREFUSED;
  }
  if (error.ee_type != ICMP_DEST_UNREACH) return true;
  switch (error.ee_code) {
    case ICMP_NET_UNREACH:
    case ICMP_HOST_UNREACH:
    case ICMP_SR_FAILED:
    case ICMP_NET_UNR_TOS:
    case ICMP_HOST_UNR_TOS: return true;
    default: return false;
  }
}

// Has a datagram socket keep such errors.
inline void enable(int fd, sa_family_t family) {
  int on = 1;
  if (family == AF_INET) setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
  else setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
}

// Removes one; false where there are none.
inline bool next(int fd, Entry* entry) {
  static thread_local char sent[64];
  alignas(cmsghdr) char control[512];
  iovec iov{sent, sizeof sent};
  msghdr h{};
  h.msg_iov = &iov;
  h.msg_iovlen = 1;
  h.msg_control = control;
  h.msg_controllen = sizeof control;
  ssize_t n = recvmsg(fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (n < 0) return false;
  *entry = {0, false, {sent, size_t(n)}};
  for (cmsghdr* c = CMSG_FIRSTHDR(&h); c != nullptr; c = CMSG_NXTHDR(&h, c)) {
    bool isError = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
    if (!isError) continue;
    sock_extended_err error;
    memcpy(&error, CMSG_DATA(c), sizeof error);
    bool isOfNetwork = error.ee_origin == SO_EE_ORIGIN_ICMP || error.ee_origin == SO_EE_ORIGIN_ICMP6;
    if (!isOfNetwork) continue;
    entry->error = int(error.ee_errno);
    entry->soft = isSoft(error);
  }
  return true;
}

// Removes what there is, calls onError(entry) for those of the network, and returns how many these were.
template <typename OnError>
int take(int fd, OnError onError) {
  int count = 0;
  Entry entry;
  for (int i = 0; i < kMost && next(fd, &entry); i++) {
    if (entry.error == 0) continue;
    count++;
    onError(entry);
  }
  return count;
}

}  // namespace errorQueue

}  // namespace rn
