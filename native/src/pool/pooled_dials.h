// Connections that the parent makes by itself, with sockets that the agent has made before: the child's programs see no
// difference, and nobody waits for the agent, which may be busy, stopped or dead.
//
// Theory of operation. dial() takes the route of the connection (routes.h) and a socket (socket_pool.h), and connects as the
// agent would (connect/outgoing.h): the parent may, since it owns the user namespace of the sockets. Where there is no route
// or no socket yet, it requests them, and the connection goes through the agent; and so does any connection that fails here
// (parent_dials.h).
//
// The page of epochs (epoch.h) is read before each use of a route, so none is used for a connection that was accepted after
// the agent has acknowledged a change. A lost agent's routes and sockets are used until the next agent is ready.
//
// Once a connect(2) has blocked there is no pool for that agent any more.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "pool/epoch.h"
#include "pool/parent_dials.h"
#include "pool/routes.h"
#include "pool/socket_pool.h"

namespace rn {

class PooledDials : public ParentDials {
 public:
  PooledDials(Loop& loop, Owner& owner, std::function<void(const std::string&)> log)
      : ParentDials(loop, owner), pool_(loop, std::move(log), "the agent", SOCK_STREAM) {}

  // Until then there is no pool. `congestion` is that of sockets to loopback addresses.
  // `threads` share what pools may have.
  void use(Watchdog* watchdog, FdBudget* budget, size_t threads, const std::string& congestion);
  // `no`: it has to go through the agent. The fd is set where it is connected; where it is pending, onMade() follows.
  Result dial(uint32_t id, const DialTarget& target, const Address& client, Fd* fd);
  void cancel(uint32_t id) { cancelPending(id); }

  // Appends what is to be requested from the agent.
  void appendRequests(std::string* outgoing);
  void onRoute(const wire::Answer& answer);
  // False where it was not requested.
  bool onSockets(uint32_t id, std::vector<Fd> fds) { return pool_.onAnswer(id, std::move(fds)); }
  bool awaitsSockets() const { return pool_.isAwaited(); }

  // Another agent is ready. Returns the page for it; invalid if there is none.
  Fd restart();
  // No sockets of this agent any more. Pending connections continue.
  void end() { pool_.end(); }
  void forget(const std::string& target) { routes_.forget(target); }
  // Once a second, unless it is idle.
  void second();
  bool idle() const { return pool_.idle(); }

 private:
  SocketPool& poolOf(int) override { return pool_; }
  Fd make(int type, const Address& to) override;

  std::string congestion_;
  EpochPage page_;
  Routes routes_;
  SocketPool pool_;
};

}  // namespace rn
