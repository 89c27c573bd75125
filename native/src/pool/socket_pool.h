// Unconnected sockets of another network namespace, which another process has made and the parent connects: TCP sockets of
// the child's, which the agent makes (pooled_dials.h), or TCP or UDP sockets of the gateway's (inbound/).
//
// Theory of operation. The pool is empty until connections want sockets. Then it holds kFirst of a family, and is filled up
// in the background when half of them are used: one request for up to kBatch at a time, one packet in reply.
// While it is used up within kBusyMs it grows, up to a share of kMost for each thread of the engine; when few are used for
// kPeriodSeconds it shrinks, and it is emptied when none are.
// Its descriptors are spare ones of the budget (fd_budget.h): it closes them when ports need them.
//
// The maker is not trusted. A socket is checked once, when it comes in, for what cannot change later: that it is of that
// protocol, and that it belongs to the same network namespace as the others of this maker, which is not the host's: whatever
// the maker does with it afterwards, connecting it leads nowhere but there. What can change (it is bound, connected, listening)
// is checked too, and shows when bind(2) or connect(2) fails: the connection is then made by the agent, as without a pool. A
// maker that sends anything else gets no requests for sockets any more.
//
// The namespace is identified by SO_NETNS_COOKIE (Linux 5.14); without it there is no pool. Sockets of the parent's own
// namespace are what the agent makes where the child has no network of its own: then there is no pool, either.
#pragma once
#include <sys/socket.h>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/fd_budget.h"
#include "loop/loop.h"
#include "system/fd.h"

namespace rn {

// SO_NETNS_COOKIE of a socket; 0 where the kernel has none.
uint64_t netnsCookieOf(int fd);

class SocketPool : public FdBudget::Holder {
 public:
  // Sockets that are to be made.
  struct Request {
    uint32_t id;
    int family;
    size_t count;
  };

  // `maker` is for the log; `type` as in socket(2).
  SocketPool(Loop& loop, std::function<void(const std::string&)> log, const char* maker, int type)
      : loop_(loop), log_(std::move(log)), maker_(maker), type_(type) {}

  // Before anything else.
  void use(FdBudget* budget, size_t threads);
  // Whether there is a socket of that family; notes that one is wanted.
  bool want(int family);
  // Invalid if there is none.
  Fd take(int family);
  // What is to be requested now. False for nothing.
  bool nextRequest(Request* request);
  // Whether there will be sockets, if one is wanted.
  bool canBeFilled() const { return !ended_ && !resting_ && budget_->hasSpare(1); }
  // False where the answer was not requested: the maker violates the protocol.
  bool onAnswer(uint32_t id, std::vector<Fd> fds);
  bool isAwaited() const { return awaited_ != 0; }

  // Another maker: sockets of the last one are dropped. Those to come are of that network namespace (SO_NETNS_COOKIE); with
  // 0 the first one decides.
  void restart(uint64_t netns = 0);
  // No sockets of this maker any more.
  void end();
  bool ended() const { return ended_; }
  // Once a second.
  void second();
  // Whether it needs no second().
  bool idle() const { return families_[0].capacity == 0 && families_[1].capacity == 0; }

  bool evictOne() override;

 private:
  static constexpr size_t kFirst = 16;
  static constexpr size_t kMost = 256;
  // The most in one request. The connection that comes next waits for them where their maker has the same processor.
  static constexpr size_t kBatch = 32;
  static constexpr uint64_t kBusyMs = 1000;
  static constexpr int kPeriodSeconds = 10;

  struct Family {
    std::vector<Fd> ready;
    // How many it should have; 0 while it is not used.
    size_t capacity = 0;
    uint64_t taken = 0;
    uint64_t grownAt = 0;
    bool low = false;
  };
  Family& of(int family) { return families_[family == AF_INET ? 0 : 1]; }
  const char* protocolObjection(int fd) const;
  void shrink(Family* family, size_t capacity);
  // Why it does not belong into the pool; null if it does, and "" if there can be no pool.
  const char* objection(int fd, int family);

  Loop& loop_;
  std::function<void(const std::string&)> log_;
  const char* maker_;
  int type_;
  FdBudget* budget_ = nullptr;
  size_t most_ = 0;
  Family families_[2];
  // Of the request; 0 for none.
  uint32_t awaited_ = 0;
  int awaitedFamily_ = 0;
  size_t awaitedCount_ = 0;
  uint32_t nextId_ = 1;
  // It could not make as many as requested: not before the next second.
  bool resting_ = false;
  bool ended_ = true;
  int seconds_ = 0;
  // SO_NETNS_COOKIE of this process's namespace, and of the sockets'; 0 while it is unknown.
  uint64_t ownNamespace_ = 0;
  uint64_t namespace_ = 0;
};

}  // namespace rn
