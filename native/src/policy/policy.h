// What may go out. Pure decisions: the caller has the packets, and the clock.
//
// Rules come as bytes from JavaScript (rules/policy_model.h). A connection is decided when its first packet is held:
//
//   decide()        allow, deny, or peek: the address is one of an allowed name, and its port is one at which the client
//                   sends the name first. Then the connection is made on the host, and the client's first bytes are read
//                   before any is forwarded (peek/first_bytes.h), for a limited time:
//   decidePeeked()  allow or deny, by the name in these bytes. With a Peeked of kind `other` if none has come in time.
//   opened(), closed()    around an allowed connection, so that its address keeps its names
//
// and a name when it is asked for:
//
//   decideName()    allow or deny
//   learn()         the addresses that were the answer
//
// The order in which rules decide, the first that applies:
//   1. a rule that denies the address, or the name where it is known
//   2. where names rule, a port that hides them (UDP 443, and 53 and 853) is denied, unless a rule lists network and port
//   3. a rule that allows the address: by a network (in special ranges by one inside of the range), as the host's, or as any
//      public address
//   4. a special range (rules/special_ranges.h) is denied: a name that leads there opens nothing
//   5. a rule that allows a name for which the address was an answer
//   6. the default
//
// Before load() everything is allowed. Not thread-safe: it belongs to one thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/name_table.h"
#include "policy/peek/first_bytes.h"
#include "policy/rules/name_rules.h"
#include "policy/rules/policy_model.h"
#include "policy/rules/special_ranges.h"

namespace rn {

struct Decision {
  enum class Verdict : uint8_t { allow, deny, peek };
  enum class Reason : uint8_t {
    none,
    rule,        // a rule denies it
    notAllowed,  // no rule allows it
    special,     // the address is in a special range, which no rule lists
    hidden,      // the port hides names
    noName,      // the first bytes show none
    otherName,   // … or one that is not allowed, or for which the address was no answer
    queryType,   // a query for more than records of a name
  };
  Verdict verdict = Verdict::allow;
  Reason reason = Reason::none;
  Range range = Range::open;  // of the address
  int rule = -1;              // that decided; -1 for the default

  bool allowed() const { return verdict == Verdict::allow; }
  bool needsPeek() const { return verdict == Verdict::peek; }
  // Why it was denied, for logs and events: "no rule allows it".
  std::string text() const;
};

struct RuleCounters {
  uint64_t allowed = 0;  // connections, flows, echo requests
  uint64_t denied = 0;
  uint64_t names = 0;  // queries that were decided by it
  uint64_t bytesOut = 0;
  uint64_t bytesIn = 0;
};

class Policy {
 public:
  // Replaces all rules, and sets the counters to 0; learnt names stay. Returns false, and changes nothing, if the bytes are
  // not a policy.
  bool load(std::string_view encoded);
  // Everything is allowed again.
  void clear();
  bool active() const { return active_; }

  // The addresses of the host, and those inside that lead to it; without ports.
  void setHostAddresses(const std::vector<Address>& addresses);

  // `now` in milliseconds, of a clock that does not go back. ICMP has no port.
  Decision decide(Protocol protocol, const Address& destination, uint64_t now);
  Decision decidePeeked(const Address& destination, const Peeked& peeked, uint64_t now);
  // `name` in text form, of a query of this type (RFC 1035, section 3.2.2).
  Decision decideName(std::string_view name, uint16_t type);

  // The same in two steps, where several policies decide: what this one decides, and that it was decided so.
  Decision weigh(Protocol protocol, const Address& destination, uint64_t now);
  Decision weighPeeked(const Address& destination, const Peeked& peeked, uint64_t now);
  Decision weighName(std::string_view text, uint16_t type) const;
  void count(const Decision& decision);
  void countName(const Decision& decision) { countersOf(decision.rule).names++; }

  // See NameTable::limit().
  void limitNames(size_t most) { names_.limit(most); }
  void learn(std::string_view name, const std::vector<Address>& addresses, uint32_t ttl, uint64_t now);
  // The names that the address was an answer for, for logs and events.
  std::vector<std::string> namesOf(const Address& address, uint64_t now);
  // The name that the address was last used by, or an answer for; empty if there is none. Valid until the next call.
  std::string_view nameOf(const Address& address, uint64_t now);
  // Whether the address was an answer for that name.
  bool isNameOf(const Address& address, std::string_view name, uint64_t now);
  Range rangeOf(const Address& address) const;
  // A connection that a name allows begins; decide() and decidePeeked() report that themselves.
  void use(const Address& destination, std::string_view name, uint64_t now);
  void opened(const Address& destination);
  void closed(const Address& destination, uint64_t now);

  // Counters of a rule, or of the default (-1).
  void addBytes(int rule, uint64_t out, uint64_t in);
  const RuleCounters& counters(int rule) const { return rule < 0 ? defaultCounters_ : counters_[size_t(rule)]; }
  size_t ruleCount() const { return rules_.size(); }

 private:
  struct Request {
    Protocol protocol;
    AddressNumber address;
    uint16_t port;
    const Peeked* peeked;
    uint64_t now;
  };
  // Rules about an address itself.
  struct AddressRules {
    int denied = -1;
    int allowed = -1;
    bool listed = false;  // an allowing one lists the port, too
  };

  Decision judge(const Request& request);
  Decision judgeOpen(const Request& request, int allowed);
  Decision judgeName(const Request& request);
  AddressRules addressRules(const Request& request, const SpecialRange& range) const;
  SpecialRange rangeOf(const AddressNumber& address) const;
  int nameRule(const NameRules& rules, std::string_view name, const Request& request) const;
  int queryRule(const NameRules& rules, std::string_view name, bool wholeOnly) const;
  RuleCounters& countersOf(int rule) { return rule < 0 ? defaultCounters_ : counters_[size_t(rule)]; }

  bool active_ = false;
  bool denyByDefault_ = false;
  bool namesRule_ = false;
  std::vector<RuleModel> rules_;
  NetworkTable networks_;
  std::vector<uint32_t> others_;  // rules about any address, or about the host's
  NameRules allowedNames_;
  NameRules deniedNames_;
  int allNames_ = -1;  // the rule that allows every name
  int noNames_ = -1;   // … or denies it
  std::vector<AddressNumber> hostAddresses_;
  NameTable names_;
  RuleCounters defaultCounters_;
  std::vector<RuleCounters> counters_;
};

}  // namespace rn
