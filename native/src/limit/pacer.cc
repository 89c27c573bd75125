#include "limit/pacer.h"

#include <algorithm>
#include <vector>

namespace rn {

uint64_t Pacer::take(Stream* stream, const Limits& limits, uint64_t most) {
  RateLimit* first = nullptr;
  bool hasTurn = stream == turn_;
  RateLimit* awaited = nullptr;
  limits.forEach([&](RateLimit& limit) {
    if (first == nullptr) first = &limit;
    if (awaited == nullptr && waiting_.count(&limit) > 0) awaited = &limit;
  });
  if (first == nullptr) return most;
  if (hasTurn ? share_ == 0 : awaited != nullptr) {
    wait(stream, awaited != nullptr ? awaited : first);
    return 0;
  }
  uint64_t taken = hasTurn ? std::min(most, share_) : most;
  RateLimit* exhausted = nullptr;
  limits.forEach([&](RateLimit& limit) {
    if (exhausted != nullptr) return;
    uint64_t got = limit.take(taken);
    if (&limit != first) first->giveBack(taken - got);
    if (got == 0) exhausted = &limit;
    taken = got;
  });
  if (exhausted != nullptr) wait(stream, exhausted);
  if (hasTurn) share_ -= taken;
  return taken;
}

void Pacer::wait(Stream* stream, RateLimit* limit) {
  auto& list = waiting_[limit];
  stream->waitsFor_ = limit;
  stream->place_ = list.insert(list.end(), stream);
  if (list.size() == 1) setAlarm();
}

void Pacer::forget(Stream* stream) {
  if (!stream->isWaiting()) return;
  auto at = waiting_.find(stream->waitsFor_);
  at->second.erase(stream->place_);
  stream->waitsFor_ = nullptr;
  if (at->second.empty()) waiting_.erase(at);
}

void Pacer::onAlarm() {
  std::vector<RateLimit*> limits;
  for (const auto& [limit, streams] : waiting_) limits.push_back(limit);
  for (RateLimit* limit : limits) giveTurns(limit);
  setAlarm();
}

void Pacer::giveTurns(RateLimit* limit) {
  auto at = waiting_.find(limit);
  if (at == waiting_.end()) return;
  size_t turns = at->second.size();
  uint64_t share = std::max<uint64_t>(limit->available() / turns, limit->leastShare());
  for (; turns > 0 && limit->available() > 0; turns--) {
    // Streams may have been forgotten by others' turns.
    at = waiting_.find(limit);
    if (at == waiting_.end()) return;
    Stream* stream = at->second.front();
    forget(stream);
    turn_ = stream;
    share_ = share;
    stream->onTurn();
    turn_ = nullptr;
  }
}

void Pacer::wakeAll() {
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& [limit, streams] : waiting) {
    for (Stream* stream : streams) stream->waitsFor_ = nullptr;
  }
  for (auto& [limit, streams] : waiting) {
    // None is deleted before the round is over; one that another has ended takes its turn for nothing.
    for (Stream* stream : streams) stream->onTurn();
  }
}

void Pacer::setAlarm() {
  uint64_t wait = UINT64_MAX;
  for (const auto& [limit, streams] : waiting_) wait = std::min(wait, limit->isSet() ? limit->waitMs() : 1);
  if (wait != UINT64_MAX) loop_.alarm(wait);
}

}  // namespace rn
