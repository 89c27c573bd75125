// Addresses, listeners and socket options.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <cstdint>
#include <string>
#include <string_view>

#include "system/fd.h"

namespace rn {

// An IPv4 or IPv6 address with its port.
struct Address {
  union {
    sockaddr sa;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  socklen_t length = 0;

  Address() : v6{} {}
  sa_family_t family() const { return sa.sa_family; }
  bool isLoopback() const;
  // Without port; v4-mapped addresses as IPv4.
  std::string ip() const;
  // Without port, in network byte order: 4 or 16 bytes. Valid as long as this object is.
  std::string_view ipBytes() const;
  // IPv4 addresses as v4-mapped ones.
  in6_addr mapped() const;
  uint16_t port() const;
  void setPort(uint16_t port);
  // A v4-mapped address as IPv4.
  Address unmapped() const;
  std::string text() const;  // 127.0.0.1:80, [::1]:80
  // An IPv6 address may have a zone: the name of a device.
  static bool parse(const std::string& text, uint16_t port, Address* out);
};

namespace sockets {

// Descriptors that connections and listeners leave to the rest of the process: the API must be able to report that they
// are used up.
constexpr uint64_t kReservedFds = 96;
// The most connections that wait for accept(2) (net.core.somaxconn may be less).
constexpr int kBacklog = 4096;
// Buffers of datagram sockets; as much of it as net.core.rmem_max and wmem_max allow.
constexpr int kDatagramBuffer = 4 << 20;
// Keepalive towards clients, without which one that vanishes (asleep, or behind a NAT that has dropped it) keeps its
// connection for ever: seconds without a byte before the first probe and between probes, and how many of them may be
// unanswered (tcp(7), TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT). Servers in Go have the same values.
constexpr int kKeepAliveSeconds = 15;
constexpr int kKeepAliveProbes = 9;
// RLIMIT_NOFILE.
uint64_t fdLimit();
// Whether a socket could not be made or connected because this host lacks something now: the same may succeed later.
bool isShortage(int error);

struct ListenResult {
  Fd fd;
  int error = 0;          // errno
  const char* call = "";  // the call that failed
};

// `type` is SOCK_STREAM or SOCK_DGRAM. `dual`: an IPv6 wildcard socket that accepts IPv4 too.
// Reuses addresses for TCP as servers do; options of the data plane are set (see the .cc).
ListenResult listenOn(const Address& address, int type, bool dual);

// Sets the options that the engine needs on a listener or a bound UDP socket, of any origin.
void prepareListener(int fd, sa_family_t family, int type, bool dual);

// Of a UDP socket that datagrams are relayed by: they may come coalesced (udp(7), UDP_GRO), and its buffers are large.
void prepareDatagrams(int fd);

// Keeps urgent data in line with the other bytes. Relays need it on both sockets; accepted ones inherit it.
void keepUrgentInLine(int fd);

// Probes the peer of a TCP socket after that many seconds without a byte, and at that interval.
void keepAlive(int fd, int seconds);

// Resets the options that a program would not expect.
void unprepareListener(int fd);

// Sets the algorithm that loopback sockets should use instead of the system's default: "" if the default does not pace.
// cubic and reno do not; bbr does, and slows loopback down to a third (tcp(7), TCP_CONGESTION).
void setCongestion(int fd, const std::string& preferred);

// Binds a socket that will be connected to `to` to the address of another host, and to its port if that is free in its
// namespace (ip(7), IP_TRANSPARENT). `diag` is a socket of sock_diag(7) there; -1 where it is this one. Returns false on failure.
struct Ends {
  Address source;
  const Address& to;
  int diag = -1;
};
bool bindTransparently(int fd, int type, Ends ends);

// Sets the mark of the packets that it sends (SO_MARK); 0 for none. Returns false on failure.
bool setMark(int fd, uint32_t mark);

// Makes a bound UDP socket receive nothing until it is connected again: it accepts datagrams of its peer only, itself.
// Returns 0 or an errno.
int connectToSelf(int fd);

// Resets the connection when it is closed (SO_LINGER 0), so that the peer gets RST and not an end of file.
void resetAtClose(const Fd& fd);
// … and closes it.
void closeWithReset(Fd fd);

}  // namespace sockets

}  // namespace rn
