// Relays of which one side has ended and the other has not: each is checked periodically.
//
// Most half-closed connections end by themselves within moments, so they are only put on a list; only those that are still
// there at their first check cost a system call.
#pragma once
#include <cstdint>
#include <list>

#include "loop/loop.h"

namespace rn {

class HalfClosed {
 public:
  class Member {
   public:
    virtual ~Member() = default;
    // `now` as Loop::now(). May end the member.
    virtual void onCheck(uint64_t now) = 0;

   private:
    friend class HalfClosed;
    bool listed_ = false;
    uint64_t due_ = 0;
    std::list<Member*>::iterator place_;
  };

  // `periodMs` is the time between two checks.
  HalfClosed(Loop& loop, uint64_t periodMs) : loop_(loop), periodMs_(periodMs) {}

  // Adding twice, and removing what is not there, has no effect.
  void add(Member* member);
  void remove(Member* member);
  // At each tick of the loop.
  void tick();

 private:
  Loop& loop_;
  uint64_t periodMs_;
  // In the order in which they are due.
  std::list<Member*> members_;
};

}  // namespace rn
