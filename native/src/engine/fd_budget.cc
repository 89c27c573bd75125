#include "engine/fd_budget.h"

#include <algorithm>

#include "system/sockets.h"

namespace rn {

namespace {
// What no port may use up alone: an eighth, up to a useful maximum.
constexpr uint64_t kReservedShare = 8;
constexpr uint64_t kMaxReserve = 256;
// For one question of another thread.
constexpr int kEvictedForOthers = 16;
}  // namespace

FdBudget::Total::Total() {
  uint64_t files = sockets::fdLimit();
  limit = files > 2 * sockets::kReservedFds ? files - sockets::kReservedFds : files / 2;
  reserve = std::min(limit / kReservedShare, kMaxReserve);
}

bool FdBudget::hasRoom(const Holder* asking, uint64_t wanted) const {
  uint64_t used = total_.used + wanted;
  if (used > total_.limit) return false;
  uint64_t left = total_.limit - used;
  return left >= total_.reserve || asking->held_ <= left;
}

bool FdBudget::evictSpare() {
  return std::any_of(spare_.begin(), spare_.end(), [](Holder* holder) { return holder->evictOne(); });
}

bool FdBudget::makeRoom(const Holder* asking, uint64_t wanted) {
  while (!hasRoom(asking, wanted)) {
    if (evictSpare()) continue;
    uint64_t more = asking->held_ + wanted;
    if (evictFromMost(more)) continue;
    if (ask_ && asked_ == 0) asked_ += ask_(more);
    return false;
  }
  return true;
}

bool FdBudget::evictFromMost(uint64_t more) {
  auto most = std::max_element(evictable_.begin(), evictable_.end(),
                               [](const Holder* a, const Holder* b) { return a->held_ < b->held_; });
  return most != evictable_.end() && (*most)->held_ > more && (*most)->evictOne();
}

void FdBudget::evictForOthers(uint64_t more) {
  for (int i = 0; i < kEvictedForOthers; i++) {
    if (evictSpare()) continue;
    if (!evictFromMost(more)) return;
  }
}

void FdBudget::acquire(Holder* holder, uint64_t n) {
  holder->held_ += n;
  total_.used += n;
}

void FdBudget::release(Holder* holder, uint64_t n) {
  holder->held_ -= n;
  total_.used -= n;
}

uint64_t FdBudget::mostSpare() const { return total_.limit / kReservedShare; }

void FdBudget::freeSpare() {
  while (evictSpare()) continue;
}

void FdBudget::setEvictable(Holder* holder, bool evictable) {
  if (evictable) {
    evictable_.insert(holder);
  } else {
    evictable_.erase(holder);
  }
}

}  // namespace rn
