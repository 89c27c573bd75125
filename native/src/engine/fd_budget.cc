#include "engine/fd_budget.h"

#include <algorithm>

#include "system/sockets.h"

namespace rn {

namespace {
// What no port may use up alone: an eighth, up to a useful maximum.
constexpr uint64_t kReservedShare = 8;
constexpr uint64_t kMaxReserve = 256;
}  // namespace

FdBudget::FdBudget() {
  uint64_t limit = sockets::fdLimit();
  limit_ = limit > 2 * sockets::kReservedFds ? limit - sockets::kReservedFds : limit / 2;
  reserve_ = std::min(limit_ / kReservedShare, kMaxReserve);
}

bool FdBudget::hasRoom(const Holder* asking, uint64_t wanted) const {
  if (used_ + wanted > limit_) return false;
  uint64_t left = limit_ - used_ - wanted;
  return left >= reserve_ || asking->held_ <= left;
}

bool FdBudget::makeRoom(const Holder* asking, uint64_t wanted) {
  while (!hasRoom(asking, wanted)) {
    auto most = std::max_element(evictable_.begin(), evictable_.end(),
                                 [](const Holder* a, const Holder* b) { return a->held_ < b->held_; });
    if (most == evictable_.end() || (*most)->held_ <= asking->held_ + wanted || !(*most)->evictOne()) return false;
  }
  return true;
}

void FdBudget::acquire(Holder* holder, uint64_t n) {
  holder->held_ += n;
  used_ += n;
}

void FdBudget::release(Holder* holder, uint64_t n) {
  holder->held_ -= n;
  used_ -= n;
}

void FdBudget::setEvictable(Holder* holder, bool evictable) {
  if (evictable) {
    evictable_.insert(holder);
  } else {
    evictable_.erase(holder);
  }
}

}  // namespace rn
