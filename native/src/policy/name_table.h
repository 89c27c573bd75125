// The names that addresses were answers for: what makes a rule with a name a rule about addresses.
//
// The name server learns each answer that it gives (`learn`). An address is an answer for the name that was asked, whatever
// aliases are between them. It stays one for the time to live, 30 seconds at least and a day at most, and for a grace
// of 5 minutes, since programs keep addresses longer than they may. Each connection that is allowed by it renews the grace
// (`use`), and while connections are open (`opened`, `closed`) it does not end; so a pool that connects again, or a server
// that resolves once at its start, keeps working while it is used. A day after the last answer it ends all the same, unless a
// connection is open.
//
// What is asked comes from inside, so there are bounds: of names and addresses together, and of names by address. The
// answer that was used least recently makes room.
#pragma once
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "policy/rules/networks.h"

namespace rn {

class NameTable {
 public:
  // In milliseconds.
  static constexpr uint64_t kLeastLifetime = 30 * 1000;
  static constexpr uint64_t kMostLifetime = 24 * 3600 * 1000;
  static constexpr uint64_t kGrace = 5 * 60 * 1000;
  // Pairs of name and address, and names of one address.
  static constexpr size_t kMaxPairs = 16384;
  static constexpr size_t kMaxNames = 64;

  NameTable();

  // `name` as normalizeName() writes it; `ttl` in seconds; `now` in milliseconds, of a clock that does not go back.
  void learn(std::string_view name, const std::vector<Address>& addresses, uint32_t ttl, uint64_t now);

  // The most recently used first.
  std::vector<std::string> namesOf(const AddressNumber& address, uint64_t now);

  // The first name of the address for which `wanted(name)` is true; empty if there is none.
  template <typename Wanted>
  std::string_view find(const AddressNumber& address, uint64_t now, Wanted wanted) {
    Host* host = current(address, now);
    if (host == nullptr) return {};
    for (const Pair& pair : host->pairs) {
      if (wanted(std::string_view(pair->name))) return pair->name;
    }
    return {};
  }

  // A connection that a name has allowed begins.
  void use(const AddressNumber& address, std::string_view name, uint64_t now);

  // Connections to an address that has names are open; each one closed as often as it was opened.
  void opened(const AddressNumber& address);
  void closed(const AddressNumber& address, uint64_t now);

  // Of pairs; at most kMaxPairs, which it is unless set.
  void limit(size_t most) { most_ = most; }
  size_t size() const { return pairs_.size(); }

 private:
  struct Entry {
    AddressNumber address;
    std::string name;
    uint64_t expires = 0;
    uint64_t learnt = 0;
  };
  using Pair = std::list<Entry>::iterator;
  struct Host {
    std::vector<Pair> pairs;
    uint32_t open = 0;
  };
  // Seeded: addresses are chosen by those who answer for names.
  struct Hash {
    uint64_t seed;
    size_t operator()(const AddressNumber& address) const;
  };

  Host* current(const AddressNumber& address, uint64_t now);
  void learnOne(std::string_view name, const AddressNumber& address, uint64_t expires, uint64_t now);
  static void renew(Entry* entry, uint64_t now);
  void moveToFront(Host* host, size_t index);
  void remove(Pair pair);
  void makeRoom();

  size_t most_ = kMaxPairs;
  // The least recently used first.
  std::list<Entry> pairs_;
  std::unordered_map<AddressNumber, Host, Hash> hosts_;
};

}  // namespace rn
