// connect(2) of programs below the command: always made by the parent, on a descriptor of its own of the same socket, with
// an address that it has copied.
//
// Why always: where the parent lets a call go on, the kernel reads the descriptor's number and the address anew, and
// another thread may have changed both meanwhile. For a socket of the child's network namespace that would be no more
// than the program may do anyway; but a program that was given sockets of the host could put one of them there.
//
// A socket of the host connects nowhere, unless programs may reach the host's loopback, or the address is outside and
// `outbound` is on. To dissolve a connection (AF_UNSPEC) is allowed: it leads nowhere, and then a connect follows.
//
// With `outbound`, a TCP socket (UDP too where the host's loopback may be reached) of the child that connects to an address
// which the child reaches through a gateway is replaced by one of the host.
//
// Theory of operation. A connect that would block (HeldConnect) is begun without blocking, and answered when the socket says
// that it is done, or the program's own time limit (SO_SNDTIMEO) is over. A call that a signal takes away is forgotten; when
// the program makes it again, it finds the connect under way, and waits for it. Where it was taken away just before the
// answer, the answer is kept for the next call.
#pragma once
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "bypass_calls.h"
#include "bypass_process.h"
#include "loop.h"
#include "sockets.h"

struct ConnectPolicy {
  bool hostLoopback = false;
  bool outbound = false;
};

// The address that a call of the program is about, as much of it as counts for IP. 0 or an errno, as the call itself would
// have it.
int readAddress(const Caller& caller, uint64_t address, int length, Address* out);

class Connects {
 public:
  // `route` is a netlink socket of the child's network namespace.
  Connects(Loop& loop, Calls& calls, ConnectPolicy policy, Fd route, std::string congestion);
  ~Connects();

  // Sees to the call, which is about this socket of the program. `ofHost`, `ofChild`: where the socket belongs.
  void serve(const Call& call, const Caller& caller, Fd socket, bool ofHost, bool ofChild);
  // About every 100 ms, while any is pending.
  void tick();

 private:
  friend class HeldConnect;

  bool mayReach(const Address& to);
  bool leadsOutside(const Address& to, int type);
  // False where the socket is to connect by itself.
  bool connectOutside(const Call& call, const Caller& caller, const Fd& socket, const Address& to);
  // Answers with what connect(2) said, or waits until it can.
  void settle(const Call& call, Fd socket, const Address& to, int error);
  void answer(const Call& call, int socket, int error);

  Loop& loop_;
  Calls& calls_;
  ConnectPolicy policy_;
  Fd childRoute_;
  Fd hostRoute_;
  std::string congestion_;
  std::unordered_set<class HeldConnect*> pending_;
  // By the socket's cookie.
  std::unordered_map<uint64_t, int> untold_;
};
