// Shares what limits allow among the streams of one thread.
//
// Theory of operation. A stream that wants to move bytes takes as many as its limits allow (take()). Where these allow none, or
// others wait already, it waits: nothing of it is read, so its sender is slowed down by TCP, and nothing is kept here. When the
// limit allows a share again, its streams get their turn, each an equal part, in the order in which they came; who has more to
// move waits again, behind the others. One alarm of the loop serves all: without a limit it is never set.
#pragma once
#include <cstdint>
#include <list>
#include <map>

#include "limit/rate_limit.h"
#include "loop/loop.h"

namespace rn {

class Pacer {
 public:
  class Stream {
   public:
    virtual ~Stream() = default;
    // May move again. It may be forgotten meanwhile.
    virtual void onTurn() = 0;
    bool isWaiting() const { return waitsFor_ != nullptr; }

   private:
    friend class Pacer;
    RateLimit* waitsFor_ = nullptr;
    std::list<Stream*>::iterator place_;
  };

  explicit Pacer(Loop& loop) : loop_(loop) {}

  // How many bytes the stream, which does not wait, may move now, `most` at most; with 0 it waits. What it does not move has to
  // be given back (Limits::giveBack()).
  uint64_t take(Stream* stream, const Limits& limits, uint64_t most);
  void forget(Stream* stream);
  // The loop's alarm.
  void onAlarm();
  // Limits have changed: all that wait try again.
  void wakeAll();

 private:
  void wait(Stream* stream, RateLimit* limit);
  void giveTurns(RateLimit* limit);
  void setAlarm();

  Loop& loop_;
  // Those that wait, the first first. No list is empty.
  std::map<RateLimit*, std::list<Stream*>> waiting_;
  // The stream that has its turn, and what is left of its share.
  Stream* turn_ = nullptr;
  uint64_t share_ = 0;
};

}  // namespace rn
