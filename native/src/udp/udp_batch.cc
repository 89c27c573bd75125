#include "udp/udp_batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <sched.h>
#include <string.h>
#include <algorithm>

namespace rn {

int UdpBatch::receive(int fd) {
  mmsghdr headers[kMax];
  iovec iov[kMax];
  alignas(cmsghdr) static thread_local char control[kMax][128];
  for (int i = 0; i < kMax; i++) {
    iov[i] = {buffer_.get() + size_t(i) * kDatagram, kDatagram};
    msghdr& h = headers[i].msg_hdr;
    h = {};
    h.msg_name = &messages_[i].from.sa;
    h.msg_namelen = sizeof messages_[i].from.v6;
    h.msg_iov = &iov[i];
    h.msg_iovlen = 1;
    h.msg_control = control[i];
    h.msg_controllen = sizeof control[i];
  }
  int n = recvmmsg(fd, headers, kMax, MSG_DONTWAIT, nullptr);
  if (n < 0) return -1;
  for (int i = 0; i < n; i++) {
    Message& m = messages_[i];
    msghdr& h = headers[i].msg_hdr;
    m.data = static_cast<char*>(iov[i].iov_base);
    m.length = headers[i].msg_len;
    m.segment = 0;
    m.from.length = h.msg_namelen;
    m.to = {};
    for (cmsghdr* c = CMSG_FIRSTHDR(&h); c != nullptr; c = CMSG_NXTHDR(&h, c)) {
      if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
        int segment;
        memcpy(&segment, CMSG_DATA(c), sizeof segment);
        if (size_t(segment) < m.length) m.segment = uint16_t(segment);
      } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        m.to.s6_addr[10] = m.to.s6_addr[11] = 0xff;
        memcpy(&m.to.s6_addr[12], &info.ipi_spec_dst, 4);
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        m.to = info.ipi6_addr;
      }
    }
  }
  return n;
}

void UdpBatch::dropErrors(int fd) {
  char control[512];
  for (int i = 0; i < kMax; i++) {
    msghdr h{};
    h.msg_control = control;
    h.msg_controllen = sizeof control;
    if (recvmsg(fd, &h, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return;
  }
}

bool UdpBatch::worthAnother(int n) {
  if (n < 2) return false;
  if (n < kMax) sched_yield();
  return true;
}

int UdpBatch::sendVector(int fd, iovec* iov, int n, uint16_t segment, const Address* to, const in6_addr* source) {
  alignas(cmsghdr) char control[128];
  msghdr h{};
  h.msg_iov = iov;
  h.msg_iovlen = size_t(n);
  if (to != nullptr) {
    h.msg_name = const_cast<sockaddr*>(&to->sa);
    h.msg_namelen = to->length;
  }
  size_t used = 0;
  auto put = [&](int level, int type, const void* data, size_t size) {
    auto* c = reinterpret_cast<cmsghdr*>(control + used);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
    used += CMSG_SPACE(size);
  };
  if (segment != 0) put(SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
  if (source != nullptr && to != nullptr && to->family() == AF_INET) {
    in_pktinfo info{};
    memcpy(&info.ipi_spec_dst, &source->s6_addr[12], 4);
    put(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  } else if (source != nullptr) {
    in6_pktinfo info{};
    info.ipi6_addr = *source;
    put(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
  }
  if (used > 0) {
    h.msg_control = control;
    h.msg_controllen = used;
  }
  for (;;) {
    if (sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS ? 0 : errno;
  }
}

int UdpBatch::sendOne(int fd, const char* data, size_t length, uint16_t segment, const Address* to,
                      const in6_addr* source) {
  iovec iov{const_cast<char*>(data), length};
  int error = sendVector(fd, &iov, 1, segment, to, source);
  // A segment that does not fit the device's MTU cannot be sent coalesced; alone it is fragmented (udp(7)).
  if (segment == 0 || (error != EINVAL && error != EMSGSIZE && error != EIO)) return error;
  error = 0;
  for (size_t at = 0; at < length && error == 0; at += segment) {
    iov = {const_cast<char*>(data) + at, std::min(size_t(segment), length - at)};
    error = sendVector(fd, &iov, 1, 0, to, source);
  }
  return error;
}

int UdpBatch::send(int fd, int start, int n, const Address* to, const in6_addr* source) {
  if (n == 1) {
    const Message& m = messages_[start];
    return sendOne(fd, m.data, m.length, m.segment, to, source);
  }
  iovec iov[kMaxSegments];
  for (int i = 0; i < n; i++) iov[i] = {const_cast<char*>(messages_[start + i].data), messages_[start + i].length};
  int error = sendVector(fd, iov, n, uint16_t(messages_[start].length), to, source);
  if (error != EINVAL && error != EMSGSIZE && error != EIO) return error;
  error = 0;
  for (int i = 0; i < n && error == 0; i++) error = sendVector(fd, &iov[i], 1, 0, to, source);
  return error;
}

}  // namespace rn
