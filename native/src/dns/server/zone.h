// The names of one container network: what its DNS server answers with.
//
// Theory of operation. A zone comes as text from JavaScript (child/dns/zone-text.ts), and is replaced as a whole by each change; one
// entry a line, names in text form:
//
//   network NAME             NAME is a suffix of all names of this zone
//   search DOMAIN            programs append it to names (resolv.conf(5)): its names are not asked of others where it is appended
//   outside                  other names are asked of the host's resolvers
//   subnet CIDR              reverse names of its addresses are answered here
//   name NAME ADDRESS …      an entry; without addresses it is reserved: the name does not exist, and is not asked of others
//   exact NAME ADDRESS …     … which has no suffix
//   domain NAME ADDRESS …    … which is found in rootless.internal only, where there is no other of that name
//   only                     what is neither in rootless.internal nor an address of the subnets is refused
//   reverse ADDRESS NAME     the name of an address
//
// An entry `redis` of the network `back` is found as redis, redis.back, redis.rootless.internal and
// redis.back.rootless.internal. The names above an entry in the domain, such as back.rootless.internal, exist without records
// (RFC 8020): resolvers that ask for them first would give up otherwise. Lines that cannot be read are left out.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dns/message.h"
#include "policy/rules/networks.h"

namespace rn {

namespace dns {

// In wire form without the root, as keys of zones are.
using Labels = std::string;

// False if it is not a valid name: labels have 1 to 63 bytes, all of them 254 with their lengths. Letters become lower case.
bool labelsOf(std::string_view text, Labels* out);

class Zone {
 public:
  struct Addresses {
    std::vector<AddressNumber> v4;
    std::vector<AddressNumber> v6;
  };

  Zone() = default;
  explicit Zone(std::string_view text);

  // Null where there is no such entry.
  const Addresses* find(std::string_view labels) const { return findIn(names_, labels); }
  const Addresses* findExact(std::string_view labels) const { return findIn(exact_, labels); }
  const Addresses* findInDomain(std::string_view labels) const { return findIn(domain_, labels); }
  // Whether there are names below that one in the domain.
  bool hasBelow(std::string_view labels) const { return labels == network_ || above_.count(Labels(labels)) != 0; }
  // The network's name; "" for none.
  const Labels& network() const { return network_; }
  const std::vector<Labels>& search() const { return search_; }
  bool outside() const { return outside_; }
  // Whether others are refused.
  bool only() const { return only_; }
  bool contains(const AddressNumber& address) const;
  // Null where it has none.
  const Labels* nameOf(const AddressNumber& address) const;

 private:
  struct Subnet {
    AddressNumber first;
    int prefix;
  };
  using Names = std::unordered_map<Labels, Addresses>;

  static const Addresses* findIn(const Names& names, std::string_view labels);
  void readLine(std::string_view line);
  void addAbove(std::string_view labels);

  Labels network_;
  std::vector<Labels> search_;
  bool outside_ = false;
  bool only_ = false;
  std::vector<Subnet> subnets_;
  Names names_;
  Names exact_;
  Names domain_;
  std::unordered_set<Labels> above_;
  std::map<AddressNumber, Labels> reverse_;
};

// What one client may ask: the zones of all networks that it is on.
struct View {
  std::vector<const Zone*> zones;
  // Whether other names are asked of the host's resolvers.
  bool outside = false;
  // Whether they are refused.
  bool only = false;
};

// What is known of a name.
struct Finding {
  enum class Kind : uint8_t {
    unknown,  // nothing: others may know it
    missing,  // it does not exist, or not for this client
    exists,   // with or without addresses
    reverse,  // an address, whose name is `name`
  };
  Kind kind = Kind::unknown;
  Zone::Addresses addresses{};
  Labels name{};
};

// `all` are the zones of all networks: nobody outside is asked about their subnets.
Finding find(const View& view, const std::vector<const Zone*>& all, const Name& name);

}  // namespace dns

}  // namespace rn
