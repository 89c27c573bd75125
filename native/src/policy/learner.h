// The rules that a run without a policy would have needed: `--learn`.
//
// Theory of operation. Each attempt is reported as it is to a policy (policy.h): begun() when its first packet is held, and
// where that returns true, peeked() with the first bytes; asked() for each query. Everything is allowed. What is recorded is
// the narrowest rule by which the policy would have allowed it:
//
//   by name      the address was an answer for one, and the port does not hide names; where clients send the name first,
//                that one, if it is a name of this address
//   by address   all others: nothing was resolved, the first bytes show another name, the port hides names, or no name can
//                open the address (special_ranges.h)
//   host         an address of the host
//   dns          a name that was asked for: without it the resolution would fail
//
// Programs inside decide how much there is to record: beyond kMaxRules nothing more is.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "policy/policy.h"

namespace rn {

struct LearnedRule {
  enum class Protocol : uint8_t { tcp, udp, icmp, dns };
  enum class Place : uint8_t { name, address, host };
  Protocol protocol = Protocol::tcp;
  Place place = Place::name;
  // The name, or the address.
  std::string text{};
  // 0 for ICMP and DNS.
  uint16_t port = 0;

  bool operator<(const LearnedRule& o) const {
    return std::tie(protocol, place, text, port) < std::tie(o.protocol, o.place, o.text, o.port);
  }
};

class Learner {
 public:
  static constexpr size_t kMaxRules = PolicyModel::kMaxRules;

  // The policy knows the names of addresses and those of the host; it need not be active.
  explicit Learner(Policy& policy) : policy_(policy) {}

  // Whether the first bytes are needed to tell the name; otherwise it is recorded.
  bool begun(Protocol protocol, const Address& destination, uint64_t now);
  void peeked(const Address& destination, const Peeked& peeked, uint64_t now);
  void asked(std::string_view name);

  const std::set<LearnedRule>& rules() const { return rules_; }
  // Whether there were more.
  bool isFull() const { return full_; }

 private:
  // Of a connection to that destination.
  void addName(Protocol protocol, const std::string& name, const Address& destination, uint64_t now);
  void addAddress(Protocol protocol, const Address& address);
  void add(LearnedRule rule);

  Policy& policy_;
  std::set<LearnedRule> rules_;
  bool full_ = false;
};

}  // namespace rn
