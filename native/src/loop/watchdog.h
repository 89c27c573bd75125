// Interrupts the engine's thread in a call that blocks.
//
// The agent may hold another descriptor of a socket that it sent to the parent, and clear O_NONBLOCK on it: splice then
// blocks, even with SPLICE_F_NONBLOCK. Or it sets SO_LINGER, and close blocks. enter() and leave() bracket such calls. A
// second thread checks every 50 ms while there are calls, and sends SIGURG (whose handler does nothing) to a thread that
// it finds in the same call twice: the call ends, and leave() reports the interruption. From then on there is no such call
// for a socket of that agent, see AgentTrust. The second thread sleeps while there are no such calls.
#pragma once
#include <pthread.h>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "system/fd.h"

namespace rn {

class Watchdog {
 public:
  Watchdog();
  ~Watchdog();

  // Engine's thread only. Odd while in a call.
  void enter() {
    uint64_t s = sequence_.load(std::memory_order_relaxed) + 1;
    sequence_.store(s, std::memory_order_relaxed);
    if (asleep_.load(std::memory_order_relaxed)) wake();
  }
  // Whether the call was interrupted because it blocked. (If it was not, and still fails with EINTR, it received the signal
  // that was meant for the call before it.)
  bool leave() {
    uint64_t s = sequence_.load(std::memory_order_relaxed);
    sequence_.store(s + 1, std::memory_order_relaxed);
    return interrupted_.load(std::memory_order_relaxed) == s;
  }

 private:
  void wake();
  void run();

  std::atomic<uint64_t> sequence_{0};
  // The last call that was interrupted.
  std::atomic<uint64_t> interrupted_{0};
  std::atomic<bool> asleep_{true};
  bool stopping_ = false;
  pthread_t watched_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};

// A descriptor of another process's socket, closed without blocking for a SO_LINGER that its other holders have set.
struct TakenFd {
  explicit TakenFd(Watchdog& dog) : watchdog(dog) {}
  TakenFd(Watchdog& dog, Fd taken) : watchdog(dog), fd(std::move(taken)) {}
  ~TakenFd() {
    if (!fd.valid()) return;
    watchdog.enter();
    fd.reset();
    watchdog.leave();
  }
  TakenFd(const TakenFd&) = delete;
  TakenFd& operator=(const TakenFd&) = delete;

  Watchdog& watchdog;
  Fd fd;
};

}  // namespace rn
