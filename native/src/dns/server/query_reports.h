// Reports of queries and who has answered them, while they are wanted.
//
// Clients decide how many queries there are: kRate are reported a second, and with the next one how many were left out.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "limit/token_bucket.h"
#include "system/sockets.h"

namespace rn {

namespace dns {

// Who has answered.
enum class Origin : uint8_t { own, missing, internal, host, servers, malformed, refused, limited, lost };
constexpr size_t kOrigins = 9;

struct QueryReport {
  // 0 for that of the stack.
  uint32_t network = 0;
  Address client{};
  // "" where the query is malformed.
  std::string name{};
  uint16_t type = 0;
  Origin from = Origin::own;
  // Until it was answered.
  uint64_t ms = 0;
  // Before this one.
  uint64_t missed = 0;
};

class QueryReports {
 public:
  // A second, and as a burst.
  static constexpr uint64_t kRate = 200;

  using Watcher = std::function<void(const QueryReport&)>;

  // Null to stop.
  void watch(Watcher watcher) {
    watcher_ = std::move(watcher);
    missed_ = 0;
  }
  bool wanted() const { return bool(watcher_); }
  // `now` in milliseconds.
  void add(QueryReport report, uint64_t now) {
    if (!watcher_) return;
    if (bucket_.available(now * 1000) == 0) {
      missed_++;
      return;
    }
    bucket_.take(1, now * 1000);
    report.missed = std::exchange(missed_, 0);
    watcher_(report);
  }

 private:
  Watcher watcher_;
  TokenBucket bucket_{kRate, kRate, 0};
  uint64_t missed_ = 0;
};

}  // namespace dns

}  // namespace rn
