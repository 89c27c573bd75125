// Datagrams under rate limits (limit/rate_limit.h): those beyond are dropped, as by a network that is full.
#pragma once
#include <algorithm>
#include <cstdint>

#include "limit/rate_limit.h"
#include "udp/udp_batch.h"

namespace rn {

// Of the n messages from `start` on, which are a run (UdpBatch::run()): how many may leave. The last one may be shortened to the
// datagrams that still may.
inline int withinLimits(UdpBatch& batch, int start, int n, const Limits& limits) {
  if (!limits.areSet()) return n;
  auto [bytes, datagrams] = batch.tally(start, n);
  uint64_t taken = bytes;
  RateLimit* first = nullptr;
  limits.forEach([&](RateLimit& limit) {
    uint64_t got = limit.takeForDatagrams(taken);
    if (first != nullptr) first->giveBack(taken - got);
    if (first == nullptr) first = &limit;
    taken = got;
  });
  if (taken == bytes) return n;
  int passed = 0;
  uint64_t left = taken;
  for (int i = start; passed < n; i = batch[i].next) {
    if (batch[i].length > left) {
      size_t whole = batch[i].segment == 0 ? 0 : left / batch[i].segment * batch[i].segment;
      if (whole > 0) {
        batch.shorten(i, whole);
        left -= whole;
        datagrams -= batch[i].datagrams();
        passed++;
      }
      break;
    }
    left -= batch[i].length;
    datagrams -= batch[i].datagrams();
    passed++;
  }
  limits.giveBack(left);
  limits.forEach([dropped = datagrams](RateLimit& limit) { limit.countDropped(dropped); });
  return passed;
}

}  // namespace rn
