// Connections and flows of published ports that the parent makes in the gateway namespace (network driver builtin
// only).
//
// Theory of operation. A socket of the gateway namespace is bound to the client's address (ip(7), IP_TRANSPARENT) and
// connected to the address of the child's device. The server's answers take the child's default route, which leads to
// the gateway namespace; there everything is delivered locally (gateway/gateway.h), to that socket. So servers see the
// address of the client, and the child has no rule or route for it. No process inside takes part: the launcher makes
// the sockets in advance (socket_orders.h), and the kernel answers what is asked about the child (child_network.h).
//
// It is the way of UDP flows, and of TCP connections that the pool cannot make at once (pool/pooled_dials.h, which goes
// first since loopback is faster), to a server which has the device's address as well, from clients that the child
// reaches through the gateway. The dial rule (protocol/ports/dial-rule.ts) has addresses of a port; the kernel is asked
// in their order which socket a connection would get to, at those of the client's family:
//
//   the device's own address   a socket is there: it is that way
//   loopback                   it is that way if the socket is bound to every address
//   another one                maybe not the child's: with a socket on every address, the next one decides
//
// This is asked for each connection, so the result is never an old one. Everything else is made by the agent: servers
// on loopback only, those of containers, clients on loopback or in a network of the child. So is what fails here, and
// connections to that port then are for a while, since a packet filter inside may refuse or drop what comes through the
// device. Where there is no socket yet, a connection waits for one that is ordered at once.
//
// What comes from the launcher is checked (pool/socket_pool.h), since root inside may control it. Sockets of the
// gateway namespace lead nowhere but into the child, whoever else holds them; each connect(2) is watched (watchdog.h).
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "inbound/child_network.h"
#include "inbound/ordered_sockets.h"
#include "pool/parent_dials.h"
#include "pool/socket_pool.h"

namespace rn {

class InboundDials : public ParentDials {
 public:
  using Log = std::function<void(const std::string&)>;

  // The network that the launcher has made. Of a family that it does not have, the address has no length.
  struct Network {
    std::shared_ptr<OrderedSockets> source;
    // Addresses of the child's device, and its name.
    Address child4, child6;
    std::string device;
    // SO_NETNS_COOKIE of the gateway namespace.
    uint64_t netns = 0;
  };

  InboundDials(Loop& loop, Owner& owner, const Log& log)
      : ParentDials(loop, owner),
        tcp_(loop, log, "the launcher", SOCK_STREAM),
        udp_(loop, log, "the launcher", SOCK_DGRAM) {}

  // Before anything else. `threads` share what pools may have.
  void use(Watchdog* watchdog, FdBudget* budget, size_t threads);
  // Once: connections are made as soon as there are the sockets that it needs.
  void begin(Network network);
  // No more. Pending ones continue.
  void end();

  // As PooledDials::dial(), for TCP and UDP.
  Result dial(uint32_t id, const DialTarget& target, const Address& client, Fd* fd);
  void cancel(uint32_t id);
  // A server that was reached this way refuses: the agent is to try.
  void refused(const DialTarget& target) { avoid(target); }
  // Orders what is wanted. At the end of each round of events.
  void flush();
  // Once a second, unless it is idle.
  void second();
  bool idle() const { return tcp_.idle() && udp_.idle(); }

 private:
  // It waits for a socket.
  struct Waiting {
    const DialTarget* target;
    Address source;
    int seconds = 0;
  };
  // Where nothing comes back: a packet filter inside drops what comes through the device.
  static constexpr uint64_t kUnansweredMs = 60 * 1000;
  static constexpr int kMostSeconds = 2;

  SocketPool& poolOf(int type) override { return type == SOCK_STREAM ? tcp_ : udp_; }
  int diagnostics() const override { return diag_.get(); }

  const Address& childOf(int family) const { return family == AF_INET ? network_.child4 : network_.child6; }
  void onReady(std::vector<Fd> netlink);
  bool isWay(const DialTarget& target, const Address& source) const;
  Result open(uint32_t id, const DialTarget& target, const Address& source, Fd* fd);
  void order(SocketPool& pool, int type);
  void serveWaiting(int type, int family);
  void giveUp(uint32_t id);

  Network network_;
  ChildNetwork child_;
  // Of sock_diag(7), in the gateway namespace.
  Fd diag_;
  bool ready_ = false;
  bool ended_ = false;
  SocketPool tcp_, udp_;
  std::unordered_map<uint32_t, Waiting> waiting_;
};

}  // namespace rn
