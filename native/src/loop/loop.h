// The engine's thread: one epoll loop.
//
// Theory of operation. All sockets of the engine belong to this thread; other threads only post functions, which run
// between two rounds of events. A handler that is done calls Loop::deleteLater(): it gets no more events, and is deleted
// when the round is over, so that an event that was fetched in the same round never meets a freed object. Handlers that
// still have work when their share of a round is used up request to be run again with Loop::again(), or, when they can
// only wait, with Loop::later().
//
// The guard. Watches are level-triggered except those of a relay, so a descriptor that is reported ready although nothing
// can be read would be reported again and again; and another process that holds it may cause that (pending errors that no
// read clears, a listener that was shut down). Handlers therefore note each event that was of use (Handler::progress()),
// and the loop counts the others. Beyond kMaxFruitless the descriptor is not watched until the next tick, and then has
// kFruitlessRetry more; when that has happened kMaxBackOffs times in a row, its handler is notified (onStalled()), and has
// to end its connection or listener. Edge-triggered watches need none of that: each of their events is a change.
#pragma once
#include <sys/epoll.h>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
#include "loop/bulk_yield.h"
#include "system/fd.h"

namespace rn {

// Gets the events of one file descriptor.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void onEvents(uint32_t events) = 0;

 protected:
  // Notes that this event was of use: something was read, accepted or sent.
  void progress() {
    if (fruitless_ <= kFruitlessPerUse) {
      fruitless_ = 0;
      backOffs_ = 0;
    } else {
      fruitless_ -= kFruitlessPerUse;
    }
  }
  // The descriptor has been reported ready again and again without use. Unless it is unwatched here, it is retried at each
  // tick.
  virtual void onStalled() {}

 private:
  friend class Loop;
  // In the long run there may be that many events without use for each one of use: another holder of a shared listener may
  // be faster to accept.
  static constexpr uint32_t kFruitlessPerUse = 16;

  int fd_ = -1;  // -1: not watched
  uint32_t events_ = 0;
  uint32_t fruitless_ = 0;
  uint32_t backOffs_ = 0;
  bool backedOff_ = false;
};

// An object that the loop runs again and deletes.
class DeferredDelete {
 public:
  virtual ~DeferredDelete() = default;
  // Called in a later round, after Loop::again() or Loop::later().
  virtual void onAgain() {}
  bool isDeleted() const { return deleted_; }

 private:
  friend class Loop;
  bool deleted_ = false;
  bool queued_ = false;
};

class Loop {
 public:
  Loop();
  ~Loop();

  void start();
  // Ends the thread. Remaining handlers are not deleted: their owners do that afterwards.
  void stop();

  // Any thread: runs `task` on the loop's thread.
  void post(std::function<void()> task);
  // Like post(), without waking the loop. The task runs in the next round, before the events of that round and before tasks
  // that are posted later; it must not delete anything. For preparing what the next event needs.
  void postNoWake(std::function<void()> task);

  // Any thread. Events may come at once.
  bool watch(int fd, uint32_t events, Handler* handler);

  // Loop's thread only, from here on.
  bool rewatch(uint32_t events, Handler* handler);
  // Harmless where it is not watched. Before the descriptor is closed, and before the handler is deleted.
  void unwatch(Handler* handler);
  void deleteLater(DeferredDelete* object);
  void again(DeferredDelete* object);
  // Like again(), but not before the next tick.
  void later(DeferredDelete* object);
  // `tick` runs about every 100 ms while at least one is wanted; the idle loop sleeps without limit.
  void onTick(std::function<void()> tick) { ticks_.push_back(std::move(tick)); }
  // Runs at the end of every round of events.
  void onRoundEnd(std::function<void()> end) { roundEnd_ = std::move(end); }
  // Calls what onAlarm() was given once, after so many ms or a little later; the earliest of several counts.
  void alarm(uint64_t ms) {
    uint64_t at = now_ + ms;
    if (alarmAt_ == 0 || at < alarmAt_) alarmAt_ = at;
  }
  void onAlarm(std::function<void()> alarm) { alarm_ = std::move(alarm); }
  void wantTicks(bool wanted) { tickUsers_ += wanted ? 1 : -1; }

  // For relays to report what they do.
  BulkYield& bulk() { return bulk_; }

  // In milliseconds, monotonic, read once a round.
  uint64_t now() const { return now_; }

 private:
  static constexpr uint32_t kMaxFruitless = 256;
  static constexpr uint32_t kFruitlessRetry = 16;
  static constexpr uint32_t kMaxBackOffs = 20;

  void run();
  // For epoll_wait(2).
  int timeout() const;
  void dispatch(Handler* handler, uint32_t events);
  void backOff(Handler* handler);
  void retryBackedOff();
  void deletePending();

  Fd epoll_;
  Fd wake_;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  std::vector<std::function<void()>> noWake_;
  bool stopping_ = false;

  std::vector<DeferredDelete*> deleted_;
  std::vector<DeferredDelete*> ready_;
  std::vector<DeferredDelete*> later_;
  std::vector<Handler*> backedOff_;
  std::vector<std::function<void()>> ticks_;
  std::function<void()> roundEnd_;
  BulkYield bulk_;
  int tickUsers_ = 0;
  uint64_t now_ = 0;
  uint64_t nextTick_ = 0;
  std::function<void()> alarm_;
  // 0 for none.
  uint64_t alarmAt_ = 0;
};

}  // namespace rn
