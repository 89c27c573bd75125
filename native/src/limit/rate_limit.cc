#include "limit/rate_limit.h"

#include "loop/timed_yield.h"

namespace rn {

namespace {
uint64_t microseconds() { return monotonicNs() / 1000; }
}  // namespace

void RateLimit::set(uint64_t rate) {
  std::lock_guard<std::mutex> lock(mutex_);
  rate_ = std::min(rate, TokenBucket::kMostRate);
  if (rate > 0) bucket_ = TokenBucket(rate, TokenBucket::usualBurst(rate), microseconds());
}

uint64_t RateLimit::take(uint64_t most) {
  std::lock_guard<std::mutex> lock(mutex_);
  uint64_t now = microseconds();
  uint64_t taken = std::min(most, forStreams(now));
  bucket_.take(taken, now);
  return taken;
}

void RateLimit::giveBack(uint64_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  bucket_.giveBack(bytes);
}

uint64_t RateLimit::available() {
  std::lock_guard<std::mutex> lock(mutex_);
  return forStreams(microseconds());
}

uint64_t RateLimit::forStreams(uint64_t now) {
  uint64_t tokens = bucket_.available(now);
  uint64_t reserve = reserveOf(rate_);
  return tokens < reserve + leastShareOf(rate_) ? 0 : tokens - reserve;
}

uint64_t RateLimit::waitMs() {
  std::lock_guard<std::mutex> lock(mutex_);
  uint64_t wait = bucket_.wait(reserveOf(rate_) + leastShareOf(rate_), microseconds());
  return std::max<uint64_t>((wait + 999) / 1000, 1);
}

uint64_t RateLimit::takeForDatagrams(uint64_t most) {
  std::lock_guard<std::mutex> lock(mutex_);
  uint64_t now = microseconds();
  uint64_t taken = std::min(most, bucket_.available(now));
  bucket_.take(taken, now);
  return taken;
}

}  // namespace rn
