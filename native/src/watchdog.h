// Gets the engine's thread out of a splice(2) that blocks.
//
// The agent may hold another descriptor of a socket that it sent up, and clear O_NONBLOCK on it: splice then blocks,
// SPLICE_F_NONBLOCK or not. enter() and leave() bracket such calls. A second thread looks every 200 ms while calls go
// on, and sends SIGURG (whose handler does nothing) to a thread that it finds in the same call twice: splice returns
// EINTR, and the relay drops that connection. The second thread sleeps while nothing is spliced.
#pragma once
#include <pthread.h>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

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
  void leave() { sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }

 private:
  void wake();
  void run();

  std::atomic<uint64_t> sequence_{0};
  std::atomic<bool> asleep_{true};
  bool stopping_ = false;
  pthread_t watched_{};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
};
