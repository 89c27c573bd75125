// The engine's thread: one epoll loop.
//
// Theory of operation. All sockets of the engine belong to this thread; other threads only post functions, which run
// between two rounds of events. A handler that is done calls Loop::bury(): it gets no more events, and is deleted when
// the round is over, so that an event that was fetched in the same round never meets a freed object. Handlers that
// still have work when their share of a round is used up ask to be run again with Loop::again(), or, when only time will
// help, with Loop::later().
#pragma once
#include <sys/epoll.h>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>
#include "fd.h"

// Gets the events of one file descriptor.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void onEvents(uint32_t events) = 0;
};

// Something that is to run on, and then to be deleted, by the loop.
class Buriable {
 public:
  virtual ~Buriable() = default;
  // Called in a later round, after Loop::again() or Loop::later().
  virtual void onAgain() {}
  bool buried() const { return buried_; }

 private:
  friend class Loop;
  bool buried_ = false;
  bool waitsForTurn_ = false;
};

class Loop {
 public:
  Loop();
  ~Loop();

  void start();
  // Ends the thread. Handlers that are still there are not deleted: their owners do that afterwards.
  void stop();

  // Any thread: runs `task` on the loop's thread.
  void post(std::function<void()> task);
  // Any thread: the same, but does not wake the loop for it. The task runs in the next round, before the events of that
  // round and before whatever is posted later; it must not end anything. For making ready what the next event needs.
  void postQuietly(std::function<void()> task);

  // Any thread. Events may come at once.
  bool watch(int fd, uint32_t events, Handler* handler);

  // Loop's thread only, from here on.
  bool rewatch(int fd, uint32_t events, Handler* handler);
  void unwatch(int fd);
  void bury(Buriable* object);
  void again(Buriable* object);
  // As again(), but not before the next tick.
  void later(Buriable* object);
  // `tick` runs about every 100 ms while at least one is wanted; the idle loop sleeps without limit.
  void onTick(std::function<void()> tick) { ticks_.push_back(std::move(tick)); }
  // Runs at the end of every round of events.
  void onRoundEnd(std::function<void()> end) { roundEnd_ = std::move(end); }
  void wantTicks(bool wanted) { tickUsers_ += wanted ? 1 : -1; }

  // Milliseconds, monotonic, taken once a round.
  uint64_t now() const { return now_; }

 private:
  void run();
  void deleteBuried();

  Fd epoll_;
  Fd wake_;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  std::vector<std::function<void()>> quiet_;
  bool stopping_ = false;

  std::vector<Buriable*> buried_;
  std::vector<Buriable*> turns_;
  std::vector<Buriable*> later_;
  std::vector<std::function<void()>> ticks_;
  std::function<void()> roundEnd_;
  int tickUsers_ = 0;
  uint64_t now_ = 0;
  uint64_t nextTick_ = 0;
};
