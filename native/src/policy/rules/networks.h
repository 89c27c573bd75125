// Networks of both families, and which of them contain an address.
#pragma once
#include <cstdint>
#include <vector>

#include "system/sockets.h"

namespace rn {

// How many bits of an AddressNumber IPv4 has in front.
constexpr int kMappedBits = 96;

// An address without port as a number of 128 bits. IPv4 is v4-mapped (::ffff:0:0/96), so that one table has both families:
// prefixes of IPv4 are 96 longer there.
struct AddressNumber {
  uint64_t high = 0;
  uint64_t low = 0;

  static AddressNumber of(const Address& address);
  // Of 4 or 16 bytes.
  static AddressNumber ofBytes(const uint8_t* bytes, int family);

  bool operator==(const AddressNumber& o) const { return high == o.high && low == o.low; }
  bool operator<(const AddressNumber& o) const { return high != o.high ? high < o.high : low < o.low; }
  bool isIPv4() const { return high == 0 && low >> 32 == 0xffff; }
  // With the bits behind a prefix cleared.
  AddressNumber masked(int prefix) const;
};

// Numbers by network. They are sorted, each with the network around it: a search takes O(log n), and the networks that
// contain an address follow from the innermost one outwards, however many others there are.
class NetworkTable {
 public:
  void add(const AddressNumber& network, int prefix, uint32_t value);
  // After the last add(), and before the first find().
  void sort();

  // Calls visit(prefix, value) for each network that contains the address, from the smallest to the largest. No network of
  // IPv6 contains an address of IPv4.
  template <typename Visit>
  void find(const AddressNumber& address, Visit visit) const {
    bool mapped = address.isIPv4();
    for (int i = lastUpTo(address); i >= 0; i = networks_[i].around) {
      const Network& network = networks_[i];
      if (mapped && network.prefix < kMappedBits) return;
      if (!(address.masked(network.prefix) == network.first)) continue;
      for (uint32_t v = network.values; v < network.valuesEnd; v++) visit(network.prefix, values_[v]);
    }
  }

  bool empty() const { return added_.empty() && networks_.empty(); }

 private:
  struct Added {
    AddressNumber first;
    int prefix;
    uint32_t value;
  };
  struct Network {
    AddressNumber first;
    int prefix;
    int around;          // index of the smallest network that contains this one, or -1
    uint32_t values;     // in values_
    uint32_t valuesEnd;  // behind the last one
  };
  int lastUpTo(const AddressNumber& address) const;

  std::vector<Added> added_;
  std::vector<Network> networks_;
  std::vector<uint32_t> values_;
};

}  // namespace rn
