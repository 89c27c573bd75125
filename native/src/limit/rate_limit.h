// A limit of bytes a second for one direction of a stack, a port or a container; shared by all its connections, on all threads.
//
// Theory of operation. A token bucket (token_bucket.h). Streams wait for their turn (pacer.h), datagrams are dropped where the
// bucket is empty. So that streams, which take whatever there is, leave something for datagrams, they do not touch the lower
// half of the burst. In any time no more passes than the burst and what the rate allows in that time.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "limit/token_bucket.h"

namespace rn {

class RateLimit {
 public:
  // In bytes a second; 0 for no limit. Any thread, as all functions.
  void set(uint64_t rate);
  uint64_t rate() const { return rate_.load(std::memory_order_relaxed); }
  bool isSet() const { return rate() != 0; }

  // For a stream: takes so many bytes at most; 0 where it has to wait. As much as it does not move is given back.
  uint64_t take(uint64_t most);
  void giveBack(uint64_t bytes);
  // How much streams could take.
  uint64_t available();
  // Less is not worth a turn.
  uint64_t leastShare() const { return leastShareOf(rate()); }
  // Milliseconds until a turn is worth it, at least 1.
  uint64_t waitMs();

  // For datagrams: as take(), and the others are to be dropped.
  uint64_t takeForDatagrams(uint64_t most);
  void countDropped(uint64_t datagrams) { dropped_ += datagrams; }
  uint64_t dropped() const { return dropped_; }

 private:
  static uint64_t leastShareOf(uint64_t rate) { return std::clamp<uint64_t>(rate / 100, 512, 32 * 1024); }
  static uint64_t reserveOf(uint64_t rate) { return TokenBucket::usualBurst(rate) / 2; }
  // With the mutex.
  uint64_t forStreams(uint64_t now);

  std::mutex mutex_;
  std::atomic<uint64_t> rate_{0};
  std::atomic<uint64_t> dropped_{0};
  TokenBucket bucket_{1, 1, 0};
};

// The limits that one direction of a connection is under; null for none.
struct Limits {
  RateLimit* ofStack = nullptr;
  // Of its port or container.
  RateLimit* own = nullptr;

  bool areSet() const { return (ofStack != nullptr && ofStack->isSet()) || (own != nullptr && own->isSet()); }
  // Calls each(limit) for those that are set.
  template <typename Each>
  void forEach(Each each) const {
    for (RateLimit* limit : {ofStack, own}) {
      if (limit != nullptr && limit->isSet()) each(*limit);
    }
  }
  void giveBack(uint64_t bytes) const {
    if (bytes > 0) forEach([bytes](RateLimit& limit) { limit.giveBack(bytes); });
  }
};

}  // namespace rn
