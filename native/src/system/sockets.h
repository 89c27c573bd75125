// Addresses, listeners and socket options.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <cstdint>
#include <string>

#include "fd.h"

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
  uint16_t port() const;
  void setPort(uint16_t port);
  std::string text() const;  // 127.0.0.1:80, [::1]:80
  static bool parse(const std::string& ip, uint16_t port, Address* out);
};

namespace sockets {

// Descriptors that connections and listeners leave to the rest of the process: the API has to be able to say that
// there are no more.
constexpr uint64_t kReservedFds = 96;
// Connections that wait for accept(2), at most (net.core.somaxconn may be less).
constexpr int kBacklog = 4096;
// What sockets for datagrams are given; as much as net.core.rmem_max and wmem_max allow.
constexpr int kDatagramBuffer = 4 << 20;
// RLIMIT_NOFILE.
uint64_t fdLimit();

struct ListenResult {
  Fd fd;
  int error = 0;           // errno
  const char* call = "";   // which call failed
};

// `type` is SOCK_STREAM or SOCK_DGRAM. `dual`: an IPv6 wildcard socket that takes IPv4 too.
// Reuses addresses for TCP as servers do; options of the data plane are set (see the .cc).
ListenResult listenOn(const Address& address, int type, bool dual);

// The options that the engine needs of a listener or a bound UDP socket, whoever made it.
void prepareListener(int fd, sa_family_t family, int type, bool dual);

// Takes back what would surprise a program.
void unprepareListener(int fd);

// The algorithm that loopback sockets should use instead of the system's default: "" where the default does not pace.
// cubic and reno do not; bbr does, and throttles loopback to a third (tcp(7), TCP_CONGESTION).
void setCongestion(int fd, const std::string& preferred);

// Gives a socket that will be connected to `to` an address of somebody else, and his port where it is free here (ip(7),
// IP_TRANSPARENT). False where that cannot be done.
bool bindTransparently(int fd, int type, Address source, const Address& to);

// A bound UDP socket gets nothing any more, until it is connected anew: what has a peer gets what that one sends. 0 or an
// errno.
int connectToSelf(int fd);

// Resets the connection when it is closed (SO_LINGER 0), so that the peer gets RST and not an end of file.
void closeWithReset(Fd fd);

}  // namespace sockets
