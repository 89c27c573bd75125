#include "policy/rules/networks.h"

#include <algorithm>

namespace rn {

namespace {
constexpr uint64_t kMapped = 0xffff00000000;

uint64_t bigEndian(const uint8_t* bytes, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
  return value;
}

// The first `bits` bits of 64.
uint64_t mask(int bits) { return bits <= 0 ? 0 : bits >= 64 ? ~uint64_t(0) : ~uint64_t(0) << (64 - bits); }
}  // namespace

AddressNumber AddressNumber::ofBytes(const uint8_t* bytes, int family) {
  if (family == 4) return {0, kMapped | bigEndian(bytes, 4)};
  return {bigEndian(bytes, 8), bigEndian(bytes + 8, 8)};
}

AddressNumber AddressNumber::of(const Address& address) {
  if (address.family() == AF_INET) return ofBytes(reinterpret_cast<const uint8_t*>(&address.v4.sin_addr), 4);
  return ofBytes(address.v6.sin6_addr.s6_addr, 6);
}

AddressNumber AddressNumber::masked(int prefix) const { return {high & mask(prefix), low & mask(prefix - 64)}; }

void NetworkTable::add(const AddressNumber& network, int prefix, uint32_t value) {
  added_.push_back({network.masked(prefix), prefix, value});
}

void NetworkTable::sort() {
  // Of networks with the same first address the larger one is first; so each follows those around it.
  std::stable_sort(added_.begin(), added_.end(), [](const Added& a, const Added& b) {
    return a.first == b.first ? a.prefix < b.prefix : a.first < b.first;
  });
  for (const Added& added : added_) {
    Network* last = networks_.empty() ? nullptr : &networks_.back();
    if (last == nullptr || !(last->first == added.first) || last->prefix != added.prefix) {
      int around = int(networks_.size()) - 1;
      while (around >= 0 && !(added.first.masked(networks_[around].prefix) == networks_[around].first)) {
        around = networks_[around].around;
      }
      uint32_t begin = uint32_t(values_.size());
      networks_.push_back({added.first, added.prefix, around, begin, begin});
    }
    values_.push_back(added.value);
    networks_.back().valuesEnd++;
  }
  added_ = {};
}

// The last network that begins at the address or before it: those that contain the address are this one, and those around
// it. -1 if there is none.
int NetworkTable::lastUpTo(const AddressNumber& address) const {
  auto behind = std::upper_bound(networks_.begin(), networks_.end(), address,
                                 [](const AddressNumber& a, const Network& n) { return a < n.first; });
  return int(behind - networks_.begin()) - 1;
}

}  // namespace rn
