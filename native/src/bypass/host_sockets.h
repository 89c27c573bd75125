// Sockets of the host that take the place of sockets of programs below the command.
#pragma once
#include <sys/types.h>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

namespace bypass {

// Identify sockets and their network namespaces. 0 if the kernel does not report them (Linux before 5.14).
uint64_t cookieOf(int fd);
uint64_t netnsOf(int fd);
ino_t inodeOf(int fd);
// The value of an int option; `otherwise` where the socket does not have it.
int option(int fd, int level, int name, int otherwise = 0);
bool isIPv6Only(int fd);
// TCP, or MPTCP, which serves TCP clients as well (and is what Go's servers use from Go 1.24 on).
bool isTcp(int fd);
// 0 or an errno.
int ownAddress(int fd, Address* out);

// Whether it is bound to a device, or has routing options.
bool hasRoutingOptions(int fd);

// A new socket of the host of the same kind (TCP for MPTCP: not all kernels have Landlock and inet_diag for MPTCP), with
// the options that were set on `original`: those in which it differs from a new socket. `congestion` is the child's default
// for TCP. Invalid on failure (errno).
Fd twinOf(int original, const std::string& congestion);
std::string congestionOf(int fd);
// Gives it large buffers, except those whose size was set on `original`.
void enlargeBuffers(int fd, int original);

// Where to bind the twin of a socket of that family so that it serves the port that is published at `published` (`dual`:
// in both families).
struct Place {
  bool fits = false;
  Address address;
  bool v6Only = false;
  // The family that it does not serve; 0 for none.
  sa_family_t rest = 0;
};
Place placeFor(const Address& published, bool dual, sa_family_t family, bool v6Only);

// Whether a socket that is bound to `own` receives what is sent to one of `addresses`.
bool isReached(const Address& own, bool v6Only, const std::vector<Address>& addresses);

// An address by which this host reaches a socket that is bound to that one.
Address reachable(const Address& bound);

// The sockets of this network namespace on that local port, 0 for any (inet_diag, sock_diag(7)): those that listen (UDP:
// all of them), or all the others. False where the kernel does not report them.
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

}  // namespace rn
