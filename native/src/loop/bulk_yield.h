// When the loop lets others have the processor before it waits: the one place where that is decided.
//
// A stream in bulk soon gets stuck: its source has nothing, or its sink has no room. If the loop waits then, the first
// segment that arrives or leaves wakes it, it moves that one, and waits again: many small moves, each with a wake-up and
// two switches of process. Where the processors are busy, the sender or the receiver is waiting for this one. With one
// sched_yield(2) before the wait, that process runs first: it fills or empties a whole queue, and the relay, which stays
// runnable and so costs no wake-up, then moves all of it at once. Where no one else is runnable, the call returns at once.
//
// The price is paid by other connections: whatever arrives during the yield waits until this thread's next turn, one to
// several milliseconds later, where a thread that sleeps would be woken at once. And several streams keep the relay busy
// anyway: they gain nothing, and larger moves only go out of the cache. So:
//
// - The loop yields only while one relay is alone: for kAlone there was no event but its own, and no small message.
//   Everything else finds what it would find without this. Messages that are farther apart than kAlone may wait for the
//   end of a yield.
// - There is one yield a round, after all handlers have run, and only if none has work left and the round was worth it: a
//   sender that trickles gets none.
// - A relay that is not alone moves no more than kShared at once.
// - Beside programs that only compute, a yield lasts a time slice of theirs, and a stream would spend its time waiting: after
//   one of kLong there is none for kPause.
#pragma once
#include <algorithm>
#include <cstdint>
#include "loop/timed_yield.h"

namespace rn {

class BulkYield {
 public:
  // An event of a relay that is in bulk.
  void onBulkEvent(const void* relay) {
    bulkEvents_++;
    if (relay != last_) others_ = true;
    last_ = relay;
  }
  // A direction in bulk has no more to read, or no room to write.
  void onStuck() { stuck_ = true; }
  // Bytes were passed on, of whatever connection.
  void onMoved(uint64_t bytes) { moved_ += bytes; }
  // A small message, on any connection.
  void onMessage() { others_ = true; }

  // How much to move at once, if a pipe has room for `size` bytes.
  uint32_t portion(uint32_t size) const { return alone_ ? size : std::min(size, kShared); }

  // The loop, at the end of a round that brought so many events of handlers.
  void endRound(uint32_t events, bool moreToDo, uint64_t now) {
    if (others_ || events > bulkEvents_) otherAt_ = now;
    alone_ = now - otherAt_ >= kAlone;
    bool due = alone_ && stuck_ && moved_ >= kWorth && !moreToDo;
    moved_ = 0;
    bulkEvents_ = 0;
    stuck_ = others_ = false;
    if (due && now >= pausedUntil_ && timedYield() >= kLong) pausedUntil_ = now + kPause;
  }

 private:
  // In milliseconds; longer than the distance of requests whose latency is of interest: with 100, requests that came 105 ms
  // apart took more than twice as long as beside a relay that does not yield.
  static constexpr uint64_t kAlone = 1000;
  static constexpr uint32_t kShared = 512 * 1024;
  // In nanoseconds. A peer rarely takes that long for a queue; what only computes keeps the processor until a tick of the
  // scheduler, several milliseconds.
  static constexpr uint64_t kLong = 2000000;
  // In milliseconds.
  static constexpr uint64_t kPause = 100;
  // The size of a segment on loopback.
  static constexpr uint64_t kWorth = 64 * 1024;

  uint32_t bulkEvents_ = 0;
  uint64_t moved_ = 0;
  const void* last_ = nullptr;
  bool stuck_ = false;
  bool others_ = false;
  bool alone_ = false;
  uint64_t otherAt_ = 0;
  uint64_t pausedUntil_ = 0;
};

}  // namespace rn
