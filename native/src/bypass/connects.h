// connect(2) of programs below the command: always made by the parent, on a descriptor of its own of the same socket, with
// an address that it has copied.
//
// Why always: where the parent has the kernel continue a call, the kernel reads the descriptor's number and the address
// again, and another thread may have changed both meanwhile. For a socket of the child's network namespace that would be
// nothing that the program may not do anyway; but a program that was given sockets of the host could put one of them there.
//
// A socket of the host may not connect, unless programs may reach the host's loopback, or the address is outside and
// `outbound` is on. Disconnecting (AF_UNSPEC) is allowed: it reaches nothing, and the next connect is checked again.
//
// With `outbound`, a TCP socket (UDP too where the host's loopback may be reached) of the child that connects to an address
// which the child reaches through a gateway is replaced by one of the host.
//
// Theory of operation. A connect that would block (HeldConnect) is begun without blocking, and answered when epoll reports
// that it is done, or the program's own time limit (SO_SNDTIMEO) is over. A call that a signal interrupts is dropped; when
// the program makes it again, it finds the connect in progress, and waits for it. If it was interrupted just before the
// answer, the answer is kept for the next call.
#pragma once
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "bypass/caller.h"
#include "bypass/calls.h"
#include "loop/loop.h"
#include "loop/watchdog.h"
#include "system/sockets.h"

namespace rn {

struct ConnectPolicy {
  bool hostLoopback = false;
  bool outbound = false;
};

// Reads the address argument of a program's call, as much of it as matters for IP. Returns 0 or the errno that the call
// itself would have.
int readAddress(const Caller& caller, uint64_t address, int length, Address* out);

class Connects {
 public:
  struct Options {
    ConnectPolicy policy;
    // A netlink socket of the child's network namespace.
    Fd route;
    // Congestion control of TCP sockets.
    std::string congestion;
  };

  Connects(Loop& loop, Watchdog& watchdog, Calls& calls, Options options);
  ~Connects();

  // Handles a call on this socket of the program, and moves from *socket if it needs it for longer. `ofHost`, `ofChild`: the
  // network namespace that the socket belongs to.
  void handle(const Call& call, const Caller& caller, Fd* socket, bool ofHost, bool ofChild);
  // Called about every 100 ms, while any is pending.
  void tick();

 private:
  friend class HeldConnect;

  bool mayReach(const Address& to);
  bool leadsOutside(const Address& to, int type);
  // False where the socket itself has to connect.
  bool connectOutside(const Call& call, const Caller& caller, const Fd& socket, const Address& to);
  // Answers with the result of connect(2), or waits until there is one.
  void settle(const Call& call, Fd* socket, const Address& to, int error);
  void answer(const Call& call, int socket, int error);

  Loop& loop_;
  Watchdog& watchdog_;
  Calls& calls_;
  ConnectPolicy policy_;
  Fd childRoute_;
  Fd hostRoute_;
  std::string congestion_;
  std::unordered_set<class HeldConnect*> pending_;
  // Results that were not delivered, by the socket's cookie.
  std::unordered_map<uint64_t, int> undelivered_;
};

}  // namespace rn
