#include "system/sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/resource.h>

#include "netlink/udp_peers.h"

namespace rn {

bool Address::isLoopback() const {
  if (family() == AF_INET) return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return v6.sin6_addr.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

std::string Address::ip() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
  } else if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text, sizeof text);
  } else {
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  }
  return text;
}

std::string_view Address::ipBytes() const {
  if (family() == AF_INET) return {reinterpret_cast<const char*>(&v4.sin_addr), sizeof v4.sin_addr};
  return {reinterpret_cast<const char*>(&v6.sin6_addr), sizeof v6.sin6_addr};
}

in6_addr Address::mapped() const {
  if (family() == AF_INET6) return v6.sin6_addr;
  in6_addr out{};
  out.s6_addr[10] = out.s6_addr[11] = 0xff;
  memcpy(&out.s6_addr[12], &v4.sin_addr, sizeof v4.sin_addr);
  return out;
}

uint16_t Address::port() const { return ntohs(family() == AF_INET ? v4.sin_port : v6.sin6_port); }

void Address::setPort(uint16_t port) { (family() == AF_INET ? v4.sin_port : v6.sin6_port) = htons(port); }

Address Address::unmapped() const {
  if (family() != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return *this;
  Address plain;
  plain.v4.sin_family = AF_INET;
  plain.v4.sin_port = v6.sin6_port;
  memcpy(&plain.v4.sin_addr, &v6.sin6_addr.s6_addr[12], sizeof plain.v4.sin_addr);
  plain.length = sizeof plain.v4;
  return plain;
}

std::string Address::text() const {
  std::string address = ip();
  if (address.find(':') != std::string::npos) address = "[" + address + "]";
  return address + ":" + std::to_string(port());
}

bool Address::parse(const std::string& text, uint16_t port, Address* out) {
  // A link-local address is one of a device (RFC 4007, 11.2).
  size_t zone = text.find('%');
  std::string ip = text.substr(0, zone);
  if (inet_pton(AF_INET, ip.c_str(), &out->v4.sin_addr) == 1) {
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    out->length = sizeof out->v4;
    return true;
  }
  in6_addr v6;
  if (inet_pton(AF_INET6, ip.c_str(), &v6) != 1) return false;
  out->v6 = {};
  out->v6.sin6_family = AF_INET6;
  out->v6.sin6_addr = v6;
  out->v6.sin6_port = htons(port);
  if (zone != std::string::npos) out->v6.sin6_scope_id = if_nametoindex(text.c_str() + zone + 1);
  out->length = sizeof out->v6;
  return true;
}

namespace sockets {

namespace {
void on(int fd, int level, int option, int value = 1) { setsockopt(fd, level, option, &value, sizeof value); }

// A port that the kernel has chosen is temporary: a socket that stops listening loses it. One that was requested by its
// number is kept. Both sockets allow the other one, until the first is closed.
bool chooseAgain(Fd* chosen, int type, bool dual) {
  Address own;
  own.length = sizeof own.v6;
  if (getsockname(chosen->get(), &own.sa, &own.length) != 0) return false;
  Fd fd(socket(own.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return false;
  if (own.family() == AF_INET6) on(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, dual ? 0 : 1);
  on(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  on(chosen->get(), SOL_SOCKET, SO_REUSEADDR);
  prepareListener(fd.get(), own.family(), type, dual);
  if (bind(fd.get(), &own.sa, own.length) != 0) return false;
  if (type == SOCK_DGRAM) on(fd.get(), SOL_SOCKET, SO_REUSEADDR, 0);
  *chosen = std::move(fd);
  return true;
}

int valueOf(int fd, int level, int option) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, option, &value, &length) == 0 ? value : 0;
}

// The program decides; if it enables keepalive, the intervals are the system's, as on a new socket.
void endKeepAlive(int fd) {
  bool ours = valueOf(fd, SOL_SOCKET, SO_KEEPALIVE) != 0 &&
              valueOf(fd, IPPROTO_TCP, TCP_KEEPIDLE) == kKeepAliveSeconds &&
              valueOf(fd, IPPROTO_TCP, TCP_KEEPINTVL) == kKeepAliveSeconds &&
              valueOf(fd, IPPROTO_TCP, TCP_KEEPCNT) == kKeepAliveProbes;
  Fd fresh(ours ? socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1);
  if (!fresh.valid()) return;
  on(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
  for (int option : {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT}) {
    on(fd, IPPROTO_TCP, option, valueOf(fresh.get(), IPPROTO_TCP, option));
  }
}
}  // namespace

uint64_t fdLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

bool isShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL ||
         error == EAGAIN;
}

void keepUrgentInLine(int fd) { on(fd, SOL_SOCKET, SO_OOBINLINE); }

void keepAlive(int fd, int seconds) {
  on(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
  on(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds);
  on(fd, IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
  on(fd, SOL_SOCKET, SO_KEEPALIVE);
}

void prepareListener(int fd, sa_family_t family, int type, bool dual) {
  if (type == SOCK_STREAM) {
    // Accepted sockets inherit all of these.
    on(fd, IPPROTO_TCP, TCP_NODELAY);
    keepUrgentInLine(fd);
    // A socket on which it was enabled before keeps its own values.
    if (valueOf(fd, SOL_SOCKET, SO_KEEPALIVE) == 0) keepAlive(fd, kKeepAliveSeconds);
    return;
  }
  // Replies must leave from the address that the client sent to (ip(7), ipv6(7)).
  if (family == AF_INET || dual) on(fd, IPPROTO_IP, IP_PKTINFO);
  if (family == AF_INET6) on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO);
  prepareDatagrams(fd);
}

void prepareDatagrams(int fd) {
  on(fd, SOL_UDP, UDP_GRO);
  on(fd, SOL_SOCKET, SO_RCVBUF, kDatagramBuffer);
  on(fd, SOL_SOCKET, SO_SNDBUF, kDatagramBuffer);
}

void unprepareListener(int fd) {
  // Each fails on sockets that do not have the option.
  endKeepAlive(fd);
  on(fd, SOL_SOCKET, SO_OOBINLINE, 0);
  on(fd, SOL_UDP, UDP_GRO, 0);
  on(fd, IPPROTO_IP, IP_PKTINFO, 0);
  on(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 0);
}

ListenResult listenOn(const Address& address, int type, bool dual) {
  ListenResult result;
  Fd fd(socket(address.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) {
    result.error = errno;
    result.call = "socket";
    return result;
  }
  // The kernel assigns the lowest free number, so this one shows how many are in use. The last ones are for the API.
  if (uint64_t(fd.get()) >= fdLimit() - kReservedFds / 2) {
    result.error = EMFILE;
    result.call = "socket";
    return result;
  }
  if (address.family() == AF_INET6) on(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, dual ? 0 : 1);
  if (type == SOCK_STREAM) on(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  prepareListener(fd.get(), address.family(), type, dual);
  if (bind(fd.get(), &address.sa, address.length) != 0) {
    result.error = errno;
    result.call = "bind";
    return result;
  }
  if (address.port() == 0 && !chooseAgain(&fd, type, dual)) {
    result.error = errno;
    result.call = "bind";
    return result;
  }
  if (type == SOCK_STREAM && listen(fd.get(), kBacklog) != 0) {
    result.error = errno;
    result.call = "listen";
    return result;
  }
  result.fd = std::move(fd);
  return result;
}

void setCongestion(int fd, const std::string& preferred) {
  if (preferred.empty()) return;
  if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, preferred.c_str(), socklen_t(preferred.size())) == 0) return;
  // cubic may be forbidden for users (net.ipv4.tcp_allowed_congestion_control); reno never is.
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

bool bindTransparently(int fd, int type, Ends ends) {
  Address& source = ends.source;
  int value = 1;
  bool v4 = source.family() == AF_INET;
  if (setsockopt(fd, v4 ? IPPROTO_IP : IPPROTO_IPV6, v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &value, sizeof value) !=
      0) {
    return false;
  }
  // One client may use several published ports from the same port of its own. But of two UDP sockets between the same ends
  // one would receive the datagrams of both; with TCP there cannot be two, see connect(2).
  bool taken = false;
  if (type == SOCK_DGRAM) {
    bool alone = bind(fd, &source.sa, source.length) == 0;
    taken = !alone && errno == EADDRINUSE && isConnectedUdp(source, ends.to, ends.diag);
    if (alone) {
      on(fd, SOL_SOCKET, SO_REUSEADDR);
      return true;
    }
  }
  on(fd, SOL_SOCKET, SO_REUSEADDR);
  if (!taken) {
    if (bind(fd, &source.sa, source.length) == 0) return true;
    if (errno != EADDRINUSE) return false;
  }
  source.setPort(0);
  return bind(fd, &source.sa, source.length) == 0;
}

bool setMark(int fd, uint32_t mark) {
  return mark == 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0;
}

int connectToSelf(int fd) {
  Address own;
  own.length = sizeof own.v6;
  if (getsockname(fd, &own.sa, &own.length) != 0) return errno;
  if (own.family() == AF_INET && own.v4.sin_addr.s_addr == 0) own.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (own.family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&own.v6.sin6_addr)) own.v6.sin6_addr = in6addr_loopback;
  return connect(fd, &own.sa, own.length) == 0 ? 0 : errno;
}

void resetAtClose(const Fd& fd) {
  if (!fd.valid()) return;
  linger hard{1, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

void closeWithReset(Fd fd) { resetAtClose(fd); }

}  // namespace sockets

}  // namespace rn
