// Sockets of the host that stand for sockets of programs below the command.
#pragma once
#include <sys/types.h>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "fd.h"
#include "sockets.h"

namespace bypass {

// What tells sockets and their network namespaces apart. 0 where the kernel does not say (Linux before 5.14).
uint64_t cookieOf(int fd);
uint64_t netnsOf(int fd);
ino_t inodeOf(int fd);
// An option that is a number; `otherwise` where the socket has none.
int option(int fd, int level, int name, int otherwise = 0);
bool isIPv6Only(int fd);
// 0 or an errno.
int ownAddress(int fd, Address* out);

// Whether it was told which device to use, or how to be routed.
bool isTiedToWay(int fd);

// A new socket of the host of the same kind, with the options that were set on `original`: those in which it differs
// from a new socket. `congestion` is the child's default for TCP. Invalid where there is none (errno).
Fd twinOf(int original, const std::string& congestion);
std::string congestionOf(int fd);
// Gives it large buffers, but for those whose size was set on `original`.
void enlargeBuffers(int fd, int original);

// Where the twin of a socket of that family is to be bound so that it serves the port that is published at `published`
// (`dual`: in both families).
struct Place {
  bool fits = false;
  Address address;
  bool v6Only = false;
  // The family that it leaves unserved; 0 for none.
  sa_family_t rest = 0;
};
Place placeFor(const Address& published, bool dual, sa_family_t family, bool v6Only);

// Whether a socket that is bound to `own` takes what is sent to one of `addresses`.
bool isReached(const Address& own, bool v6Only, const std::vector<Address>& addresses);

// An address by which this host reaches a socket that is bound to that one.
Address reachable(const Address& bound);

// The sockets of our own network namespace on that local port, 0 for any (inet_diag, sock_diag(7)): those that listen (UDP:
// all of them), or all the others. False where the kernel does not say.
struct Found {
  std::set<uint64_t> cookies;
  std::set<ino_t> inodes;
};
bool findSockets(int type, uint16_t port, bool listening, Found* out);

// How the namespace of that netlink socket reaches an address.
struct Route {
  bool found = false;
  // RTN_UNICAST, RTN_LOCAL …
  int type = 0;
  bool gateway = false;
};
Route routeTo(int netlinkFd, const Address& to);

}  // namespace bypass
