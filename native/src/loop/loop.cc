#include "loop.h"

#include <algorithm>
#include <iterator>
#include <sys/eventfd.h>
#include <signal.h>
#include <time.h>

namespace {
uint64_t monotonicMs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
  return uint64_t(ts.tv_sec) * 1000 + uint64_t(ts.tv_nsec) / 1000000;
}
constexpr uint64_t kTickMs = 100;
}  // namespace

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event ev{};
  ev.events = EPOLLIN;
  ev.data.ptr = nullptr;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &ev);
  now_ = monotonicMs();
}

Loop::~Loop() {
  stop();
  for (Buriable* object : buried_) delete object;
}

void Loop::start() {
  // Signals are the main thread's business.
  sigset_t all, before;
  sigfillset(&all);
  sigdelset(&all, SIGURG);  // the watchdog's, see watchdog.h
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Loop::stop() {
  if (!thread_.joinable()) return;
  post([this] { stopping_ = true; });
  thread_.join();
}

void Loop::post(std::function<void()> task) {
  bool first;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (first) {
    uint64_t one = 1;
    ssize_t ignored = write(wake_.get(), &one, sizeof one);
    (void)ignored;
  }
}

void Loop::postQuietly(std::function<void()> task) {
  std::lock_guard<std::mutex> lock(mutex_);
  quiet_.push_back(std::move(task));
}

bool Loop::watch(int fd, uint32_t events, Handler* handler) {
  epoll_event ev{};
  ev.events = events;
  ev.data.ptr = handler;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &ev) == 0;
}

bool Loop::rewatch(int fd, uint32_t events, Handler* handler) {
  epoll_event ev{};
  ev.events = events;
  ev.data.ptr = handler;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &ev) == 0;
}

void Loop::unwatch(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Loop::bury(Buriable* object) {
  if (object->buried_) return;
  object->buried_ = true;
  buried_.push_back(object);
}

void Loop::again(Buriable* object) {
  if (object->waitsForTurn_ || object->buried_) return;
  object->waitsForTurn_ = true;
  turns_.push_back(object);
}

void Loop::later(Buriable* object) {
  if (object->waitsForTurn_ || object->buried_) return;
  object->waitsForTurn_ = true;
  later_.push_back(object);
  wantTicks(true);
}

// Those that wait for a turn, too: it may have been asked for in the round that buried them.
void Loop::deleteBuried() {
  for (size_t i = 0; i < buried_.size(); i++) {
    Buriable* object = buried_[i];
    if (object->waitsForTurn_) {
      turns_.erase(std::remove(turns_.begin(), turns_.end(), object), turns_.end());
      auto late = std::find(later_.begin(), later_.end(), object);
      if (late != later_.end()) {
        later_.erase(late);
        wantTicks(false);
      }
    }
    delete object;
  }
  buried_.clear();
}

void Loop::run() {
  constexpr int kEvents = 256;
  epoll_event events[kEvents];
  std::vector<std::function<void()>> tasks;
  std::vector<Buriable*> turns;

  while (!stopping_) {
    int timeout = -1;
    if (!turns_.empty()) {
      timeout = 0;
    } else if (tickUsers_ > 0) {
      timeout = nextTick_ > now_ ? int(nextTick_ - now_) : 0;
    }
    int n = epoll_wait(epoll_.get(), events, kEvents, timeout);
    now_ = monotonicMs();

    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks.swap(quiet_);
    }
    for (auto& task : tasks) task();
    tasks.clear();

    for (int i = 0; i < n; i++) {
      auto* handler = static_cast<Handler*>(events[i].data.ptr);
      if (handler != nullptr) {
        handler->onEvents(events[i].events);
        continue;
      }
      uint64_t count;
      ssize_t ignored = read(wake_.get(), &count, sizeof count);
      (void)ignored;
    }

    {
      std::lock_guard<std::mutex> lock(mutex_);
      // Those that came meanwhile were before what was posted since.
      tasks.swap(quiet_);
      tasks.insert(tasks.end(), std::make_move_iterator(posted_.begin()), std::make_move_iterator(posted_.end()));
      posted_.clear();
    }
    for (auto& task : tasks) task();
    tasks.clear();

    turns.swap(turns_);
    for (Buriable* object : turns) {
      object->waitsForTurn_ = false;
      if (!object->buried_) object->onAgain();
    }
    turns.clear();

    if (tickUsers_ > 0 && now_ >= nextTick_) {
      nextTick_ = now_ + kTickMs;
      for (auto& tick : ticks_) tick();
      for (Buriable* object : later_) {
        turns_.push_back(object);
        wantTicks(false);
      }
      later_.clear();
    }

    if (roundEnd_) roundEnd_();
    deleteBuried();
  }
}
