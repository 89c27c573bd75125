// How often the agent's plans have become invalid: a number that the agent writes and the parent reads, in shared memory.
//
// Theory of operation. The parent connects sockets of its pool by routes that the agent has sent, without asking it again. A
// packet that revokes them would come too late: who has changed a network and was notified that it is done may connect
// before the parent has read it. So each route has the number that was current when it was found, and the parent uses it
// only while the page has that number. advance() changes the page before the agent acknowledges anything, and needs no
// thread of either side to run.
//
// The parent makes the page, of a size that nobody can change (fcntl(2), F_SEAL_SHRINK): reading it cannot fail. The agent
// may write what it likes; only its own routes depend on it.
#pragma once
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "system/fd.h"

namespace rn {

// The parent's side.
class EpochPage {
 public:
  EpochPage() = default;
  ~EpochPage() { drop(); }
  EpochPage(const EpochPage&) = delete;
  EpochPage& operator=(const EpochPage&) = delete;

  // A new page, for another agent. Returns the descriptor for that agent; invalid if there is none.
  Fd renew();
  // 0 where there is no page, or the agent has not written yet.
  uint32_t value() const { return page_ == nullptr ? 0 : page_->load(std::memory_order_acquire); }

 private:
  void drop();

  const std::atomic<uint32_t>* page_ = nullptr;
};

// The agent's side. Any thread.
class Epoch {
 public:
  ~Epoch();
  uint32_t current() const { return value_; }
  // Makes all routes invalid that have been sent.
  void advance();
  // Another page to write to, which is kept until the end.
  void publish(Fd fd);

 private:
  std::mutex mutex_;
  // Never 0.
  std::atomic<uint32_t> value_{1};
  std::vector<std::atomic<uint32_t>*> pages_;
};

}  // namespace rn
