#include "loop/loop.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <algorithm>
#include <iterator>

#include "loop/time_slice.h"

namespace rn {

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
  for (DeferredDelete* object : deleted_) delete object;
}

void Loop::start() {
  // Signals are for the main thread.
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

void Loop::postNoWake(std::function<void()> task) {
  std::lock_guard<std::mutex> lock(mutex_);
  noWake_.push_back(std::move(task));
}

bool Loop::watch(int fd, uint32_t events, Handler* handler) {
  handler->fd_ = fd;
  handler->events_ = events;
  handler->fruitless_ = handler->backOffs_ = 0;
  epoll_event ev{};
  ev.events = events;
  ev.data.ptr = handler;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &ev) == 0;
}

bool Loop::rewatch(uint32_t events, Handler* handler) {
  handler->events_ = events;
  if (handler->backedOff_) return true;
  epoll_event ev{};
  ev.events = events;
  ev.data.ptr = handler;
  return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, handler->fd_, &ev) == 0;
}

void Loop::unwatch(Handler* handler) {
  if (handler->fd_ < 0) return;
  if (handler->backedOff_) {
    handler->backedOff_ = false;
    backedOff_.erase(std::remove(backedOff_.begin(), backedOff_.end(), handler), backedOff_.end());
    wantTicks(false);
  } else {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, handler->fd_, nullptr);
  }
  handler->fd_ = -1;
}

void Loop::dispatch(Handler* handler, uint32_t events) {
  if ((handler->events_ & EPOLLET) == 0 && ++handler->fruitless_ > kMaxFruitless) {
    // It may be unwatched since the event was fetched.
    if (handler->fd_ >= 0) backOff(handler);
    return;
  }
  handler->onEvents(events);
}

void Loop::backOff(Handler* handler) {
  if (handler->backedOff_) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, handler->fd_, nullptr);
  handler->backedOff_ = true;
  backedOff_.push_back(handler);
  wantTicks(true);
  if (++handler->backOffs_ % kMaxBackOffs == 0) handler->onStalled();
}

void Loop::retryBackedOff() {
  for (Handler* handler : backedOff_) {
    handler->backedOff_ = false;
    handler->fruitless_ = kMaxFruitless - kFruitlessRetry;
    epoll_event ev{};
    ev.events = handler->events_;
    ev.data.ptr = handler;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, handler->fd_, &ev);
    wantTicks(false);
  }
  backedOff_.clear();
}

void Loop::deleteLater(DeferredDelete* object) {
  if (object->deleted_) return;
  object->deleted_ = true;
  deleted_.push_back(object);
}

void Loop::again(DeferredDelete* object) {
  if (object->queued_ || object->deleted_) return;
  object->queued_ = true;
  ready_.push_back(object);
}

void Loop::later(DeferredDelete* object) {
  if (object->queued_ || object->deleted_) return;
  object->queued_ = true;
  later_.push_back(object);
  wantTicks(true);
}

// Including those that are queued to run again: that may have happened in the same round.
void Loop::deletePending() {
  for (size_t i = 0; i < deleted_.size(); i++) {
    DeferredDelete* object = deleted_[i];
    if (object->queued_) {
      ready_.erase(std::remove(ready_.begin(), ready_.end(), object), ready_.end());
      auto late = std::find(later_.begin(), later_.end(), object);
      if (late != later_.end()) {
        later_.erase(late);
        wantTicks(false);
      }
    }
    delete object;
  }
  deleted_.clear();
}

int Loop::timeout() const {
  if (!ready_.empty()) return 0;
  uint64_t next = UINT64_MAX;
  if (tickUsers_ > 0) next = nextTick_;
  if (alarmAt_ != 0) next = std::min(next, alarmAt_);
  if (next == UINT64_MAX) return -1;
  return next > now_ ? int(next - now_) : 0;
}

void Loop::run() {
  constexpr int kEvents = 256;
  epoll_event events[kEvents];
  std::vector<std::function<void()>> tasks;
  std::vector<DeferredDelete*> turns;
  shortenTimeSlice();

  while (!stopping_) {
    int n = epoll_wait(epoll_.get(), events, kEvents, timeout());
    now_ = monotonicMs();

    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks.swap(noWake_);
    }
    for (auto& task : tasks) task();
    tasks.clear();

    uint32_t handled = 0;
    for (int i = 0; i < n; i++) {
      auto* handler = static_cast<Handler*>(events[i].data.ptr);
      if (handler != nullptr) {
        handled++;
        dispatch(handler, events[i].events);
        continue;
      }
      uint64_t count;
      ssize_t ignored = read(wake_.get(), &count, sizeof count);
      (void)ignored;
    }

    {
      std::lock_guard<std::mutex> lock(mutex_);
      // Tasks without wake-up that came meanwhile precede what was posted since.
      tasks.swap(noWake_);
      tasks.insert(tasks.end(), std::make_move_iterator(posted_.begin()), std::make_move_iterator(posted_.end()));
      posted_.clear();
    }
    for (auto& task : tasks) task();
    tasks.clear();

    turns.swap(ready_);
    for (DeferredDelete* object : turns) {
      object->queued_ = false;
      if (!object->deleted_) object->onAgain();
    }
    turns.clear();

    if (tickUsers_ > 0 && now_ >= nextTick_) {
      nextTick_ = now_ + kTickMs;
      for (auto& tick : ticks_) tick();
      for (DeferredDelete* object : later_) {
        ready_.push_back(object);
        wantTicks(false);
      }
      later_.clear();
      retryBackedOff();
    }

    if (alarmAt_ != 0 && now_ >= alarmAt_) {
      alarmAt_ = 0;
      alarm_();
    }

    if (roundEnd_) roundEnd_();
    deletePending();
    bulk_.endRound(handled, !ready_.empty(), now_);
  }
}

}  // namespace rn
