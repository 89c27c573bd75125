// Connections that the parent makes by itself, in another network namespace, with sockets that another process has made: what
// those with sockets of the child (pooled_dials.h) and of the gateway namespace (inbound/inbound_dials.h) have in common.
//
// Theory of operation. A connection that fails here, whatever the reason, is left to the agent, which tries again, and reports
// the error. So are all to that port for a moment.
//
// The maker of the sockets (socket_pool.h) is not trusted. It may keep descriptors of them, and clear O_NONBLOCK on them: each
// connect(2) is watched (watchdog.h). It may also have connected them: then the first call shows that.
//
// Sources: connect(2), tcp(7), socket(7) (SO_LINGER).
#pragma once
#include <cstdint>
#include <unordered_map>

#include "connect/outgoing.h"
#include "loop/watchdog.h"
#include "pool/socket_pool.h"

namespace rn {

class ParentDials : protected Sockets {
 public:
  enum class Result { connected, pending, no };

  class Owner {
   public:
    virtual ~Owner() = default;
    // The end of a dial that was pending; without a socket where it failed.
    virtual void onMade(uint32_t id, Fd fd) = 0;
    // A call on a socket has blocked.
    virtual void onBlocked() = 0;
  };

 protected:
  class Pending;
  static constexpr uint64_t kRefusedMs = 1000;

  ParentDials(Loop& loop, Owner& owner) : loop_(loop), owner_(owner) {}

  // Where sockets of that type are taken from.
  virtual SocketPool& poolOf(int type) = 0;
  // As dial() of both: the fd is set where it is connected; where it is pending, onMade() follows.
  Result start(uint32_t id, const DialTarget& target, TcpConnect connect, Fd* fd);
  void cancelPending(uint32_t id);
  // Ports that are left to the agent.
  bool isAvoided(const DialTarget& target) const;
  void avoid(const DialTarget& target, uint64_t forMs = kRefusedMs);

  Fd make(int type, const Address& to) override;
  int connect(int fd, const Address& to) override;
  void discard(Fd fd) override;
  ReturnPaths::Result leadBack(int, const Address&, const Outgoing&) override { return ReturnPaths::Result::made; }

  Loop& loop_;
  Owner& owner_;
  Watchdog* watchdog_ = nullptr;
  std::unordered_map<uint32_t, Pending*> pending_;

 private:
  static constexpr size_t kMaxAvoided = 1024;

  // The TCP socket that was taken last, until it is connected.
  int fresh_ = -1;
  // Only compared: the ports may be gone.
  std::unordered_map<const DialTarget*, uint64_t> avoidedUntil_;
};

class ParentDials::Pending : public PendingConnect {
 public:
  Pending(ParentDials& dials, uint32_t id, const DialTarget& target, TcpConnect connect)
      : PendingConnect(dials.loop_, std::move(connect)), dials_(dials), id_(id), target_(target) {}
  using PendingConnect::end;
  const DialTarget& target() const { return target_; }
  // For its owner's count.
  int seconds = 0;

 protected:
  Sockets& sockets() override { return dials_; }
  void onDone(TcpConnect& connect, TcpConnect::State state) override;

 private:
  ParentDials& dials_;
  uint32_t id_;
  const DialTarget& target_;
};

}  // namespace rn
