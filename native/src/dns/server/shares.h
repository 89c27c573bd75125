// What each client may have asked of others at the same time, and how often.
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>

#include "limit/token_bucket.h"
#include "policy/rules/networks.h"

namespace rn {

namespace dns {

class Shares {
 public:
  static constexpr size_t kMaxOfClient = 256;
  // A second, and as a burst; of one client.
  static constexpr uint64_t kRate = 5000;
  // Clients that are remembered.
  static constexpr size_t kMaxClients = 4096;

  // Whether one more may wait. Each that may is given back. `now` in milliseconds.
  bool take(const AddressNumber& client, uint64_t now) {
    if (clients_.size() >= kMaxClients && clients_.count(client) == 0) forgetIdle(now);
    auto it = clients_.try_emplace(client, Share{TokenBucket(kRate, kRate, now * 1000)}).first;
    Share& share = it->second;
    if (share.waiting >= kMaxOfClient || share.bucket.available(now * 1000) == 0) return false;
    share.bucket.take(1, now * 1000);
    share.waiting++;
    return true;
  }
  void giveBack(const AddressNumber& client) {
    auto it = clients_.find(client);
    if (it != clients_.end() && it->second.waiting > 0) it->second.waiting--;
  }
  void forget(const AddressNumber& client) { clients_.erase(client); }

 private:
  struct Share {
    TokenBucket bucket;
    size_t waiting = 0;
  };

  // Those whose burst is full again; where there are none, the limit is passed.
  void forgetIdle(uint64_t now) {
    for (auto it = clients_.begin(); it != clients_.end();) {
      bool idle = it->second.waiting == 0 && it->second.bucket.available(now * 1000) == kRate;
      it = idle ? clients_.erase(it) : std::next(it);
    }
  }

  std::map<AddressNumber, Share> clients_;
};

}  // namespace dns

}  // namespace rn
