// Connections that the parent makes by itself, with sockets that the agent has made before: the child's programs see no
// difference, and nobody waits for the agent, which may be busy, stopped or dead.
//
// Theory of operation. dial() takes the route of the connection (routes.h) and a socket (socket_pool.h), and connects as the
// agent would (connect/outgoing.h): the parent may, since it owns the user namespace of the sockets. Where there is no route
// or no socket yet, it requests them, and the connection goes through the agent; and so does any connection that fails
// here, whatever the reason: the agent then tries again, and reports the error. A port whose server refused is left to the
// agent for a moment.
//
// The page of epochs (epoch.h) is read before each use of a route, so none is used for a connection that was accepted after
// the agent has acknowledged a change. A lost agent's routes and sockets are used until the next agent is ready.
//
// The agent may keep descriptors of the sockets, and clear O_NONBLOCK on them: each connect(2) is watched (watchdog.h). Once
// one has blocked there is no pool for that agent any more.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "connect/outgoing.h"
#include "loop/watchdog.h"
#include "pool/epoch.h"
#include "pool/routes.h"
#include "pool/socket_pool.h"

namespace rn {

class PooledDials : private Sockets {
 public:
  enum class Result { connected, pending, no };

  class Owner {
   public:
    virtual ~Owner() = default;
    // The end of a dial that was pending; without a socket where it failed.
    virtual void onPooled(uint32_t id, Fd fd) = 0;
    // A call on a socket of the agent has blocked.
    virtual void onPooledBlocked() = 0;
  };

  PooledDials(Loop& loop, Owner& owner, std::function<void(const std::string&)> log)
      : loop_(loop), owner_(owner), pool_(loop, std::move(log), "the agent", SOCK_STREAM) {}

  // Until then there is no pool. `congestion` is that of sockets to loopback addresses.
  // `threads` share what pools may have.
  void use(Watchdog* watchdog, FdBudget* budget, size_t threads, const std::string& congestion);
  // `no`: it has to go through the agent. The fd is set where it is connected; where it is pending, onPooled() follows.
  Result dial(uint32_t id, const DialTarget& target, const Address& client, Fd* fd);
  void cancel(uint32_t id);

  // Appends what is to be requested from the agent.
  void appendRequests(std::string* outgoing);
  void onRoute(const wire::Answer& answer);
  // False where it was not requested.
  bool onSockets(uint32_t id, std::vector<Fd> fds) { return pool_.onAnswer(id, std::move(fds)); }
  bool awaitsSockets() const { return pool_.isAwaited(); }

  // Another agent is ready. Returns the page for it; invalid if there is none.
  Fd restart();
  // No sockets of this agent any more. Pending connections go on.
  void end() { pool_.end(); }
  void forget(const std::string& target) { routes_.forget(target); }
  // Once a second, unless it is idle.
  void second();
  bool idle() const { return pool_.idle(); }

 private:
  class Pending;
  static constexpr uint64_t kRefusedMs = 1000;
  static constexpr size_t kMaxRefused = 1024;

  Fd make(int type, const Address& to) override;
  int connect(int fd, const Address& to) override;
  void discard(Fd fd) override;
  ReturnPaths::Result leadBack(int, const Address&, const Outgoing&) override { return ReturnPaths::Result::made; }
  bool wasRefused(const DialTarget& target) const;
  void noteRefused(const DialTarget* target);

  Loop& loop_;
  Owner& owner_;
  Watchdog* watchdog_ = nullptr;
  std::string congestion_;
  EpochPage page_;
  Routes routes_;
  SocketPool pool_;
  // The socket that was taken last, until it is connected.
  int fresh_ = -1;
  std::unordered_map<uint32_t, Pending*> pending_;
  // Only compared: the ports may be gone.
  std::unordered_map<const DialTarget*, uint64_t> refusedUntil_;
};

}  // namespace rn
