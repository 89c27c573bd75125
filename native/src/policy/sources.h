// Policies of single sources: containers that have rules of their own, beside those of the stack.
//
// Theory of operation. A source is known by its addresses inside. It has policies, all of which have to allow what it sends:
// its own, which is the first and may have no rules, and those of its networks. The stack's policy decides about it as well
// (outbound/egress.h): whoever owns the stack's namespace can forge any address there, and gets no further than that one
// allows. A container cannot forge another one's: the bridge that it is on does not take that from it
// (child/container/network/bridge/policy-filter.ts).
//
// Who is a source is requested from inside, so there are bounds, of names that are remembered, too.
//
// Not thread-safe: it belongs to one thread.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "limit/limit_book.h"
#include "policy/policy.h"

namespace rn {

class Sources {
 public:
  static constexpr size_t kMost = 1024;
  // Of one source: its own policy, and those of its networks.
  static constexpr size_t kMostPolicies = 17;
  static constexpr size_t kMostAddresses = 64;

  using Policies = std::vector<std::unique_ptr<Policy>>;

  // What the source with these addresses may reach from now on; each policy as Policy::load() has it, "" for none. Counters of
  // a policy that has changed begin anew, and names that were learnt stay. An address that another source had is this one's
  // then. Addresses that were not this source's before are added to *taken. Returns false, and changes nothing, where
  // something is invalid or exceeds a limit.
  bool set(uint32_t id, const std::vector<Address>& addresses, const std::vector<std::string>& encoded,
           std::vector<Address>* taken);
  // The addresses that it had are added to *left.
  void remove(uint32_t id, std::vector<Address>* left);
  // Puts what the source begins from now on under a limit of its own.
  void limit(uint32_t id, LimitPair* limit);
  // As Policy::setHostAddresses(), for all, those that come later included.
  void setHostAddresses(const std::vector<Address>& addresses);

  // Those of a source by its address; null where it has none of its own.
  const Policies* of(const Address& client) const;
  const Policies* byId(uint32_t id) const;
  // Null for none.
  LimitPair* limitOf(const Address& client) const;

 private:
  struct Source {
    std::vector<Address> addresses;
    std::vector<std::string> encoded;
    Policies policies;
    LimitPair* limit = nullptr;
  };

  // In all; see NameTable::kMaxPairs.
  static constexpr size_t kNames = 64 * 1024;
  static constexpr size_t kLeastNames = 64;

  static std::string keyOf(const Address& address) { return std::string(address.unmapped().ipBytes()); }
  const Source* sourceOf(const Address& client) const;
  void forget(const Source& source, uint32_t id);
  void shareNames();

  std::map<uint32_t, Source> sources_;
  std::unordered_map<std::string, uint32_t> ids_;
  std::vector<Address> host_;
};

}  // namespace rn
