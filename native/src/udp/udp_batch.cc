#include "udp/udp_batch.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <algorithm>

#include "loop/timed_yield.h"

namespace rn {

namespace {

in6_addr mapped(const in_addr& v4) {
  in6_addr out{};
  out.s6_addr[10] = out.s6_addr[11] = 0xff;
  memcpy(&out.s6_addr[12], &v4, sizeof v4);
  return out;
}

}  // namespace

UdpBatch& sharedBatch() {
  // Not itself: the C library has little room for variables of threads of what is loaded later (dlopen(3)).
  static thread_local std::unique_ptr<UdpBatch> instance{new UdpBatch};
  return *instance;
}

UdpBatch::UdpBatch() {
  for (int i = 0; i < kMax; i++) {
    iov_[i] = {buffer_.get() + size_t(i) * kDatagram, kDatagram};
    msghdr& h = headers_[i].msg_hdr;
    h.msg_name = &messages_[i].from.sa;
    h.msg_iov = &iov_[i];
    h.msg_iovlen = 1;
    h.msg_control = control_[i];
    messages_[i].data = static_cast<char*>(iov_[i].iov_base);
  }
}

int UdpBatch::receive(int fd) {
  for (int i = 0; i < used_; i++) {
    headers_[i].msg_hdr.msg_namelen = sizeof messages_[i].from.v6;
    headers_[i].msg_hdr.msg_controllen = kControl;
  }
  used_ = 0;
  int n = recvmmsg(fd, headers_, kMax, MSG_DONTWAIT, nullptr);
  if (n < 0) return -1;
  used_ = n;
  for (int i = 0; i < n; i++) {
    Message& m = messages_[i];
    msghdr& h = headers_[i].msg_hdr;
    m.next = i + 1 < n ? i + 1 : kNone;
    m.length = headers_[i].msg_len;
    m.segment = 0;
    m.from.length = h.msg_namelen;
    m.to = {};
    m.toPort = 0;
    readControl(&h, &m);
  }
  return n;
}

void UdpBatch::readControl(msghdr* header, Message* message) {
  Message& m = *message;
  auto isAt = [](const cmsghdr* c, int level, int type) { return c->cmsg_level == level && c->cmsg_type == type; };
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c)) {
    if (isAt(c, SOL_UDP, UDP_GRO)) {
      int segment;
      memcpy(&segment, CMSG_DATA(c), sizeof segment);
      if (size_t(segment) < m.length) m.segment = uint16_t(segment);
    } else if (isAt(c, IPPROTO_IP, IP_PKTINFO)) {
      in_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      m.to = mapped(info.ipi_spec_dst);
    } else if (isAt(c, IPPROTO_IPV6, IPV6_PKTINFO)) {
      in6_pktinfo info;
      memcpy(&info, CMSG_DATA(c), sizeof info);
      m.to = info.ipi6_addr;
    } else if (isAt(c, IPPROTO_IP, IP_ORIGDSTADDR)) {
      sockaddr_in original;
      memcpy(&original, CMSG_DATA(c), sizeof original);
      m.to = mapped(original.sin_addr);
      m.toPort = ntohs(original.sin_port);
    } else if (isAt(c, IPPROTO_IPV6, IPV6_ORIGDSTADDR)) {
      sockaddr_in6 original;
      memcpy(&original, CMSG_DATA(c), sizeof original);
      m.to = original.sin6_addr;
      m.toPort = ntohs(original.sin6_port);
    } else if (isAt(c, SOL_SOCKET, SO_MARK)) {
      memcpy(&m.toPort, CMSG_DATA(c), sizeof m.toPort);
      m.toPort = ntohs(m.toPort);
    }
  }
}

bool UdpBatch::worthAnother(int n) {
  if (n < 2) return false;
  uint64_t now = monotonicNs();
  if (now - yieldEnded_ < yieldLasted_) return true;
  yieldLasted_ = timedYield();
  yieldEnded_ = now + yieldLasted_;
  return true;
}

int UdpBatch::run(int start) const {
  const Message& first = messages_[start];
  // An empty datagram cannot be a segment.
  if (first.segment != 0 || first.length == 0) return 1;
  size_t total = first.length;
  int n = 1;
  for (int i = first.next; i != kNone && n < kMaxSegments; i = messages_[i].next) {
    const Message& next = messages_[i];
    if (next.segment != 0 || next.length == 0 || next.length > first.length) break;
    total += next.length;
    if (total > kMaxSegmented) break;
    n++;
    if (next.length < first.length) break;
  }
  return n;
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
  // The kernel has less to copy and to check for one without control data.
  bool simple = n == 1 && used == 0;
  for (;;) {
    ssize_t sent = simple ? sendto(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL,
                                   static_cast<sockaddr*>(h.msg_name), h.msg_namelen)
                          : sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return 0;
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
  for (int i = start, k = 0; k < n; i = messages_[i].next) {
    iov[k++] = {const_cast<char*>(messages_[i].data), messages_[i].length};
  }
  int error = sendVector(fd, iov, n, uint16_t(messages_[start].length), to, source);
  if (error != EINVAL && error != EMSGSIZE && error != EIO) return error;
  error = 0;
  for (int i = 0; i < n && error == 0; i++) error = sendVector(fd, &iov[i], 1, 0, to, source);
  return error;
}

}  // namespace rn
