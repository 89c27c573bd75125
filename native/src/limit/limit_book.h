// The limits of an engine by number: that of the whole stack, and those of ports and containers.
//
// Connections refer to the limits that they are under, on any thread and without a lock, so none is deleted: whoever has one no
// longer sets it to 0, and may give its number to another.
#pragma once
#include <cstdint>
#include <map>
#include <mutex>

#include "limit/rate_limit.h"

namespace rn {

// Of what leaves the namespace, and of what comes in.
struct LimitPair {
  RateLimit outgoing, incoming;

  void set(uint64_t out, uint64_t in) {
    outgoing.set(out);
    incoming.set(in);
  }
};

class LimitBook {
 public:
  static constexpr uint32_t kOfStack = 0;

  // That with this number, which is made where it does not exist. Any thread.
  LimitPair& of(uint32_t number) {
    std::lock_guard<std::mutex> lock(mutex_);
    return pairs_[number];
  }
  // Any thread.
  bool anySet() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [number, pair] : pairs_) {
      if (pair.outgoing.isSet() || pair.incoming.isSet()) return true;
    }
    return false;
  }

 private:
  std::mutex mutex_;
  // Their places do not change.
  std::map<uint32_t, LimitPair> pairs_;
};

// The limits of one direction for what has a limit of its own, `own`, or null.
inline Limits outgoingLimits(LimitPair& ofStack, LimitPair* own) {
  return {&ofStack.outgoing, own == nullptr ? nullptr : &own->outgoing};
}
inline Limits incomingLimits(LimitPair& ofStack, LimitPair* own) {
  return {&ofStack.incoming, own == nullptr ? nullptr : &own->incoming};
}

}  // namespace rn
