#include "policy/rules/special_ranges.h"

namespace rn {

namespace {

constexpr struct {
  const char* network;
  int prefix;
  Range range;
} kRanges[] = {
    {"0.0.0.0", 8, Range::reserved},           // this network
    {"10.0.0.0", 8, Range::privateUse},        // RFC 1918
    {"100.64.0.0", 10, Range::privateUse},     // shared with a provider, RFC 6598
    {"100.100.100.200", 32, Range::metadata},  // Alibaba Cloud
    {"127.0.0.0", 8, Range::loopback},
    {"168.63.129.16", 32, Range::metadata},  // Azure
    {"169.254.0.0", 16, Range::linkLocal},
    {"169.254.169.254", 32, Range::metadata},
    {"169.254.170.2", 32, Range::metadata},  // Amazon ECS
    {"172.16.0.0", 12, Range::privateUse},
    {"192.0.0.0", 24, Range::reserved},    // IETF protocol assignments
    {"192.0.0.192", 32, Range::metadata},  // Oracle Cloud
    {"192.0.2.0", 24, Range::reserved},    // documentation, as 198.51.100.0/24 and 203.0.113.0/24
    {"192.168.0.0", 16, Range::privateUse},
    {"198.18.0.0", 15, Range::reserved},  // benchmarks, RFC 2544
    {"198.51.100.0", 24, Range::reserved},
    {"203.0.113.0", 24, Range::reserved},
    {"224.0.0.0", 4, Range::multicast},
    {"240.0.0.0", 4, Range::reserved},
    {"::", 96, Range::reserved},  // unspecified, and IPv4-compatible
    {"::1", 128, Range::loopback},
    {"64:ff9b:1::", 48, Range::reserved},  // translators of a site, RFC 8215
    {"100::", 64, Range::reserved},        // discarded, RFC 6666
    {"2001::", 23, Range::reserved},       // IETF protocol assignments, Teredo
    {"2001:db8::", 32, Range::reserved},   // documentation, as 3fff::/20
    {"2002::", 16, Range::reserved},       // 6to4: has an address of IPv4 in it
    {"3fff::", 20, Range::reserved},
    {"5f00::", 16, Range::reserved},          // segment routing
    {"fc00::", 7, Range::privateUse},         // unique local
    {"fd00:ec2::254", 128, Range::metadata},  // Amazon EC2
    {"fd20:ce::254", 128, Range::metadata},   // Google Cloud
    {"fe80::", 10, Range::linkLocal},
    {"fec0::", 10, Range::privateUse},  // site-local
    {"ff00::", 8, Range::multicast},
};

constexpr AddressNumber kTranslated = {0x0064ff9b00000000, 0};

NetworkTable makeTable() {
  NetworkTable table;
  for (const auto& range : kRanges) {
    Address address;
    Address::parse(range.network, 0, &address);
    int bits = address.family() == AF_INET ? kMappedBits : 0;
    table.add(AddressNumber::of(address), bits + range.prefix, uint32_t(range.range));
  }
  table.sort();
  return table;
}

}  // namespace

const char* describe(Range range) {
  switch (range) {
    case Range::open: break;
    case Range::host: return "an address of the host";
    case Range::loopback: return "a loopback address";
    case Range::privateUse: return "a private address";
    case Range::linkLocal: return "a link-local address";
    case Range::metadata: return "the metadata address of a cloud";
    case Range::multicast: return "a multicast address";
    case Range::reserved: return "a reserved address";
  }
  return "a public address";
}

AddressNumber untranslated(const AddressNumber& address) {
  if (!(address.masked(kMappedBits) == kTranslated)) return address;
  uint8_t bytes[4];
  for (int i = 0; i < 4; i++) bytes[i] = uint8_t(address.low >> (24 - 8 * i));
  return AddressNumber::ofBytes(bytes, 4);
}

SpecialRange specialRangeOf(const AddressNumber& address) {
  static const NetworkTable table = makeTable();
  SpecialRange found;
  table.find(untranslated(address), [&](int prefix, uint32_t value) {
    if (prefix > found.prefix) found = {Range(value), prefix};
  });
  return found;
}

}  // namespace rn
