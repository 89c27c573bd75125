#include "bypass/host_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "netlink/netlink.h"

// Newer than some headers.
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef SO_BUF_LOCK
#define SO_BUF_LOCK 72
#endif

namespace rn {

namespace bypass {

namespace {

uint64_t number64(int fd, int name) {
  uint64_t value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) == 0 ? value : 0;
}

// Options with an int value that are copied.
// clang-format off
constexpr struct {
  int level;
  int name;
} kNumbers[] = {
    {SOL_SOCKET, SO_REUSEPORT},      {SOL_SOCKET, SO_KEEPALIVE},       {SOL_SOCKET, SO_BROADCAST},
    {SOL_SOCKET, SO_OOBINLINE},      {SOL_SOCKET, SO_DONTROUTE},       {SOL_SOCKET, SO_RCVLOWAT},
    {SOL_SOCKET, SO_PRIORITY},       {SOL_SOCKET, SO_TIMESTAMP},       {SOL_SOCKET, SO_TIMESTAMPNS},
    {SOL_SOCKET, SO_ZEROCOPY},       {SOL_SOCKET, SO_RXQ_OVFL},
    {IPPROTO_TCP, TCP_NODELAY},      {IPPROTO_TCP, TCP_MAXSEG},        {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},    {IPPROTO_TCP, TCP_KEEPCNT},       {IPPROTO_TCP, TCP_SYNCNT},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT}, {IPPROTO_TCP, TCP_WINDOW_CLAMP},  {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_LINGER2},      {IPPROTO_TCP, TCP_NOTSENT_LOWAT}, {IPPROTO_TCP, TCP_FASTOPEN},
    {IPPROTO_TCP, TCP_SAVE_SYN},
    {IPPROTO_UDP, UDP_GRO},          {IPPROTO_UDP, UDP_SEGMENT},       {IPPROTO_UDP, UDP_CORK},
    {IPPROTO_IP, IP_TOS},            {IPPROTO_IP, IP_TTL},             {IPPROTO_IP, IP_MTU_DISCOVER},
    {IPPROTO_IP, IP_PKTINFO},        {IPPROTO_IP, IP_RECVTOS},         {IPPROTO_IP, IP_RECVTTL},
    {IPPROTO_IP, IP_RECVERR},        {IPPROTO_IP, IP_RECVORIGDSTADDR}, {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
    {IPPROTO_IPV6, IPV6_V6ONLY},     {IPPROTO_IPV6, IPV6_TCLASS},      {IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO}, {IPPROTO_IPV6, IPV6_RECVTCLASS}, {IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
    {IPPROTO_IPV6, IPV6_RECVERR},    {IPPROTO_IPV6, IPV6_MTU_DISCOVER},
};
// clang-format on

void copyNumbers(int from, int to) {
  for (const auto& each : kNumbers) {
    int wanted = 0, now = 0;
    socklen_t length = sizeof wanted;
    if (getsockopt(from, each.level, each.name, &wanted, &length) != 0) continue;
    length = sizeof now;
    if (getsockopt(to, each.level, each.name, &now, &length) != 0 || now == wanted) continue;
    setsockopt(to, each.level, each.name, &wanted, sizeof wanted);
  }
}

template <typename T>
void copyValue(int from, int to, int level, int name) {
  T wanted{}, now{};
  socklen_t length = sizeof wanted;
  if (getsockopt(from, level, name, &wanted, &length) != 0) return;
  length = sizeof now;
  if (getsockopt(to, level, name, &now, &length) != 0 || memcmp(&now, &wanted, sizeof now) == 0) return;
  setsockopt(to, level, name, &wanted, sizeof wanted);
}

// With the bits of SO_BUF_LOCK.
constexpr struct {
  int lock;
  int name;
} kBuffers[] = {{1 /* SOCK_SNDBUF_LOCK */, SO_SNDBUF}, {2 /* SOCK_RCVBUF_LOCK */, SO_RCVBUF}};

// Only where the program has set them: a size that is set ends the kernel's own tuning (tcp(7)).
void copyBufferSizes(int from, int to) {
  int locks = option(from, SOL_SOCKET, SO_BUF_LOCK);
  for (const auto& each : kBuffers) {
    if ((locks & each.lock) == 0) continue;
    // The kernel doubles what is set (socket(7)).
    int size = option(from, SOL_SOCKET, each.name) / 2;
    setsockopt(to, SOL_SOCKET, each.name, &size, sizeof size);
  }
}

bool isWildcard(const Address& address) {
  if (address.family() == AF_INET) return address.v4.sin_addr.s_addr == 0;
  const in6_addr& ip = address.v6.sin6_addr;
  return IN6_IS_ADDR_UNSPECIFIED(&ip) || (IN6_IS_ADDR_V4MAPPED(&ip) && address.ip() == "0.0.0.0");
}

bool isIPv4(const Address& address) {
  return address.family() == AF_INET || IN6_IS_ADDR_V4MAPPED(&address.v6.sin6_addr);
}

Address parse(const std::string& ip, uint16_t port) {
  Address out;
  Address::parse(ip, port, &out);
  return out;
}

bool dump(int netlinkFd, int family, int type, uint16_t port, uint32_t states, Found* out) {
  struct {
    nlmsghdr header;
    inet_diag_req_v2 request;
  } message{};
  message.header.nlmsg_len = sizeof message;
  message.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  message.request.sdiag_family = uint8_t(family);
  message.request.sdiag_protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
  message.request.idiag_states = states;
  message.request.id.idiag_sport = htons(port);
  std::string answers;
  if (netlink::exchange(netlinkFd, std::string(reinterpret_cast<char*>(&message), sizeof message), 1, &answers) != 0) {
    return false;
  }
  for (size_t at = 0; at + NLMSG_HDRLEN <= answers.size();) {
    nlmsghdr header;
    memcpy(&header, answers.data() + at, sizeof header);
    if (header.nlmsg_type == NLMSG_ERROR) return false;
    if (header.nlmsg_type == SOCK_DIAG_BY_FAMILY && header.nlmsg_len >= NLMSG_HDRLEN + sizeof(inet_diag_msg)) {
      inet_diag_msg socket;
      memcpy(&socket, answers.data() + at + NLMSG_HDRLEN, sizeof socket);
      // Some kernels do not filter by port for all protocols.
      if (port == 0 || ntohs(socket.id.idiag_sport) == port) {
        out->cookies.insert(uint64_t(socket.id.idiag_cookie[1]) << 32 | socket.id.idiag_cookie[0]);
        if (socket.idiag_inode != 0) out->inodes.insert(socket.idiag_inode);
      }
    }
    at += NLMSG_ALIGN(header.nlmsg_len);
  }
  return true;
}

}  // namespace

uint64_t cookieOf(int fd) { return number64(fd, SO_COOKIE); }

uint64_t netnsOf(int fd) { return number64(fd, SO_NETNS_COOKIE); }

ino_t inodeOf(int fd) {
  struct stat st = {};
  return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

int option(int fd, int level, int name, int otherwise) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : otherwise;
}

bool isTcp(int fd) {
  int protocol = option(fd, SOL_SOCKET, SO_PROTOCOL);
  return protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP;
}

bool isIPv6Only(int fd) { return option(fd, IPPROTO_IPV6, IPV6_V6ONLY) != 0; }

int ownAddress(int fd, Address* out) {
  out->length = sizeof out->v6;
  return getsockname(fd, &out->sa, &out->length) == 0 ? 0 : errno;
}

bool hasRoutingOptions(int fd) {
  char device[16] = "";
  socklen_t length = sizeof device;
  if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &length) == 0 && length > 0 && device[0] != '\0') return true;
  return option(fd, SOL_SOCKET, SO_MARK) != 0 || option(fd, IPPROTO_IP, IP_TRANSPARENT) != 0;
}

std::string congestionOf(int fd) {
  char name[32] = "";
  socklen_t length = sizeof name - 1;
  return getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length) == 0 ? name : "";
}

void enlargeBuffers(int fd, int original) {
  int locks = option(original, SOL_SOCKET, SO_BUF_LOCK);
  int size = sockets::kDatagramBuffer;
  for (const auto& each : kBuffers) {
    if ((locks & each.lock) == 0) setsockopt(fd, SOL_SOCKET, each.name, &size, sizeof size);
  }
}

Fd twinOf(int original, const std::string& congestion) {
  int domain = option(original, SOL_SOCKET, SO_DOMAIN);
  int type = option(original, SOL_SOCKET, SO_TYPE);
  int protocol = isTcp(original) ? IPPROTO_TCP : option(original, SOL_SOCKET, SO_PROTOCOL);
  Fd twin(socket(domain, type | SOCK_CLOEXEC, protocol));
  if (!twin.valid()) return twin;
  copyNumbers(original, twin.get());
  copyValue<linger>(original, twin.get(), SOL_SOCKET, SO_LINGER);
  copyValue<timeval>(original, twin.get(), SOL_SOCKET, SO_RCVTIMEO);
  copyValue<timeval>(original, twin.get(), SOL_SOCKET, SO_SNDTIMEO);
  copyBufferSizes(original, twin.get());
  std::string chosen = congestionOf(original);
  // The defaults of both namespaces may differ, and stay.
  if (!chosen.empty() && chosen != congestion) {
    setsockopt(twin.get(), IPPROTO_TCP, TCP_CONGESTION, chosen.data(), socklen_t(chosen.size()));
  }
  fcntl(twin.get(), F_SETFL, fcntl(original, F_GETFL) & O_NONBLOCK);
  return twin;
}

Place placeFor(const Address& published, bool dual, sa_family_t family, bool v6Only) {
  Place place;
  uint16_t port = published.port();
  place.fits = true;
  place.v6Only = v6Only;
  place.address = published;
  if (family == AF_INET) {
    if (dual) {
      place.address = parse("0.0.0.0", port);
      place.rest = AF_INET6;
    } else {
      place.fits = published.family() == AF_INET;
    }
  } else if (published.family() == AF_INET) {
    // As a socket of both families represents IPv4 addresses.
    place.address = parse("::ffff:" + published.ip(), port);
    place.fits = !v6Only;
  } else if (!dual) {
    place.v6Only = true;
  } else if (v6Only) {
    place.rest = AF_INET;
  }
  return place;
}

bool isReached(const Address& own, bool v6Only, const std::vector<Address>& addresses) {
  for (const Address& to : addresses) {
    if (to.port() != own.port()) continue;
    if (!isWildcard(own)) {
      if (to.ip() == own.ip()) return true;
    } else if (isIPv4(to)) {
      if (isIPv4(own) || !v6Only) return true;
    } else if (own.family() == AF_INET6 && !isIPv4(own)) {
      return true;
    }
  }
  return false;
}

Address reachable(const Address& bound) {
  if (!isWildcard(bound)) return parse(bound.ip(), bound.port());
  return parse(isIPv4(bound) ? "127.0.0.1" : "::1", bound.port());
}

bool findSockets(int type, uint16_t port, bool listening, Found* out) {
  int raw = -1;
  if (netlink::open(NETLINK_SOCK_DIAG, "", &raw) != 0) return false;
  Fd netlinkFd(raw);
  uint32_t states = 1u << TCP_LISTEN;
  if (type == SOCK_DGRAM) states = ~0u;
  if (!listening) states = ~states;
  for (int family : {AF_INET, AF_INET6}) {
    if (!dump(netlinkFd.get(), family, type, port, states, out)) return false;
  }
  return true;
}

Route routeTo(int netlinkFd, const Address& to) {
  Address plain = parse(to.ip(), 0);
  bool v4 = plain.family() == AF_INET;
  size_t size = v4 ? 4 : 16;
  struct {
    nlmsghdr header;
    rtmsg route;
    rtattr attribute;
    char destination[16];
  } message{};
  message.header.nlmsg_len = uint32_t(offsetof(decltype(message), destination) + size);
  message.header.nlmsg_type = RTM_GETROUTE;
  message.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  message.route.rtm_family = uint8_t(plain.family());
  message.route.rtm_dst_len = uint8_t(size * 8);
  message.attribute.rta_type = RTA_DST;
  message.attribute.rta_len = uint16_t(RTA_LENGTH(size));
  if (v4) {
    memcpy(message.destination, &plain.v4.sin_addr, size);
  } else {
    memcpy(message.destination, &plain.v6.sin6_addr, size);
  }
  Route out;
  std::string answers;
  std::string request(reinterpret_cast<char*>(&message), message.header.nlmsg_len);
  if (netlink::exchange(netlinkFd, request, 1, &answers) != 0 || answers.size() < NLMSG_LENGTH(sizeof(rtmsg)))
    return out;
  nlmsghdr header;
  memcpy(&header, answers.data(), sizeof header);
  if (header.nlmsg_type != RTM_NEWROUTE || header.nlmsg_len > answers.size()) return out;
  rtmsg route;
  memcpy(&route, answers.data() + NLMSG_HDRLEN, sizeof route);
  out.found = true;
  out.type = route.rtm_type;
  for (size_t at = NLMSG_LENGTH(sizeof route); at + sizeof(rtattr) <= header.nlmsg_len;) {
    rtattr attribute;
    memcpy(&attribute, answers.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute) break;
    out.gateway |= attribute.rta_type == RTA_GATEWAY || attribute.rta_type == RTA_VIA;
    at += RTA_ALIGN(attribute.rta_len);
  }
  return out;
}

}  // namespace bypass

}  // namespace rn
