// Letting others have the processor, and how long that took: a yield is worth its price only while it is short, and each
// user has a rule of its own for what it does after a long one.
#pragma once
#include <sched.h>
#include <time.h>
#include <cstdint>

namespace rn {

inline uint64_t monotonicNs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return uint64_t(ts.tv_sec) * 1000000000 + uint64_t(ts.tv_nsec);
}

// In nanoseconds, as long as others ran.
inline uint64_t timedYield() {
  uint64_t before = monotonicNs();
  sched_yield();
  return monotonicNs() - before;
}

}  // namespace rn
