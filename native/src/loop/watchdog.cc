#include "loop/watchdog.h"

#include <signal.h>
#include <chrono>

namespace rn {

namespace {
void nothing(int) {}
}  // namespace

Watchdog::Watchdog() {
  // Without SA_RESTART: the call must return. SIGURG is ignored by default and not used for anything else here.
  struct sigaction action {};
  action.sa_handler = nothing;
  sigaction(SIGURG, &action, nullptr);
}

Watchdog::~Watchdog() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::wake() {
  std::lock_guard<std::mutex> lock(mutex_);
  asleep_ = false;
  watched_ = pthread_self();
  if (!thread_.joinable()) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  } else {
    changed_.notify_all();
  }
}

void Watchdog::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  uint64_t last = sequence_;
  while (!stopping_) {
    changed_.wait_for(lock, std::chrono::milliseconds(50));
    uint64_t now = sequence_;
    if (now != last) {
      last = now;
    } else if (now & 1) {
      interrupted_ = now;
      pthread_kill(watched_, SIGURG);
    } else {
      asleep_ = true;
      while (asleep_ && !stopping_) changed_.wait(lock);
      last = sequence_;
    }
  }
}

}  // namespace rn
