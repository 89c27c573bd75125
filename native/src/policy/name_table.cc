#include "policy/name_table.h"

#include <errno.h>
#include <sys/random.h>

#include <algorithm>

namespace rn {

namespace {
uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

uint64_t randomSeed() {
  // Not std::random_device: that of libc++ opens a file, which the sandbox denies. A read of that size is never partial.
  uint64_t seed = 0;
  while (getrandom(&seed, sizeof seed, 0) < 0 && errno == EINTR) continue;
  return seed;
}
}  // namespace

size_t NameTable::Hash::operator()(const AddressNumber& address) const {
  return size_t(mixed(mixed(address.high ^ seed) + address.low));
}

NameTable::NameTable() : hosts_(0, Hash{randomSeed()}) {}

void NameTable::learn(std::string_view name, const std::vector<Address>& addresses, uint32_t ttl, uint64_t now) {
  uint64_t lifetime = std::clamp(uint64_t(ttl) * 1000, kLeastLifetime, kMostLifetime);
  for (const Address& address : addresses) {
    learnOne(name, AddressNumber::of(address.unmapped()), now + lifetime + kGrace, now);
  }
}

void NameTable::learnOne(std::string_view name, const AddressNumber& address, uint64_t expires, uint64_t now) {
  Host* host = current(address, now);
  if (host != nullptr) {
    auto& pairs = host->pairs;
    auto known = std::find_if(pairs.begin(), pairs.end(), [&](const Pair& pair) { return pair->name == name; });
    if (known != pairs.end()) {
      Entry& entry = **known;
      entry.expires = std::max(entry.expires, expires);
      entry.learnt = now;
      moveToFront(host, size_t(known - pairs.begin()));
      return;
    }
    if (pairs.size() >= kMaxNames) remove(pairs.back());
  }
  makeRoom();
  // Both may have removed the host.
  host = &hosts_[address];
  Pair pair = pairs_.insert(pairs_.end(), {address, std::string(name), expires, now});
  host->pairs.insert(host->pairs.begin(), pair);
}

std::vector<std::string> NameTable::namesOf(const AddressNumber& address, uint64_t now) {
  std::vector<std::string> names;
  find(address, now, [&](std::string_view name) {
    names.emplace_back(name);
    return false;
  });
  return names;
}

void NameTable::use(const AddressNumber& address, std::string_view name, uint64_t now) {
  Host* host = current(address, now);
  if (host == nullptr) return;
  auto& pairs = host->pairs;
  auto known = std::find_if(pairs.begin(), pairs.end(), [&](const Pair& pair) { return pair->name == name; });
  if (known == pairs.end()) return;
  renew(&**known, now);
  moveToFront(host, size_t(known - pairs.begin()));
}

void NameTable::opened(const AddressNumber& address) {
  auto at = hosts_.find(address);
  if (at != hosts_.end()) at->second.open++;
}

void NameTable::closed(const AddressNumber& address, uint64_t now) {
  auto at = hosts_.find(address);
  // It may have made room meanwhile.
  if (at == hosts_.end() || at->second.open == 0) return;
  at->second.open--;
  for (const Pair& pair : at->second.pairs) renew(&*pair, now);
}

// The address with its names, without those that have ended; null if none is left.
NameTable::Host* NameTable::current(const AddressNumber& address, uint64_t now) {
  auto at = hosts_.find(address);
  if (at == hosts_.end()) return nullptr;
  Host* host = &at->second;
  if (host->open > 0) return host;
  for (size_t i = host->pairs.size(); i-- > 0;) {
    if (host->pairs[i]->expires > now) continue;
    bool last = host->pairs.size() == 1;
    remove(host->pairs[i]);
    if (last) return nullptr;
  }
  return host;
}

void NameTable::renew(Entry* entry, uint64_t now) {
  uint64_t limit = entry->learnt + kMostLifetime;
  entry->expires = std::max(entry->expires, std::min(now + kGrace, limit));
}

void NameTable::moveToFront(Host* host, size_t index) {
  auto begin = host->pairs.begin();
  std::rotate(begin, begin + int(index), begin + int(index) + 1);
  pairs_.splice(pairs_.end(), pairs_, host->pairs.front());
}

// Removes a pair, and the address with its last one.
void NameTable::remove(Pair pair) {
  auto at = hosts_.find(pair->address);
  auto& pairs = at->second.pairs;
  pairs.erase(std::find(pairs.begin(), pairs.end(), pair));
  if (pairs.empty()) hosts_.erase(at);
  pairs_.erase(pair);
}

// Those with open connections stay, unless there are very many.
void NameTable::makeRoom() {
  constexpr int kTries = 16;
  while (pairs_.size() >= most_) {
    for (int i = 0; i < kTries; i++) {
      Pair oldest = pairs_.begin();
      if (hosts_.find(oldest->address)->second.open == 0) break;
      pairs_.splice(pairs_.end(), pairs_, oldest);
    }
    remove(pairs_.begin());
  }
}

}  // namespace rn
