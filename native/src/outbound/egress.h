// What programs inside may reach, and where that is: destinations.h, and the policies on top.
//
// Theory of operation. Each attempt to reach an address is decided once, before anything is done for it on the host: find().
// The stack's policy has to allow it, and those of the source, where its address has any (policy/sources.h).
// Without a policy everything is allowed. What a policy denies is refused like a host that is administratively prohibited,
// and reported as an event, at most kReportsPerSecond times a second; the others are counted.
//
// Where a rule is about a name, its addresses are those that the DNS forwarder has answered with (answered()). Several names
// may have one address: where the client sends the name first (TLS, HTTP), it is read before anything is forwarded
// (tcp/peeked_connection.h), and decides (decidePeeked()).
//
// It belongs to the engine's first thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/context.h"
#include "outbound/destinations.h"
#include "policy/learner.h"
#include "policy/policy.h"
#include "policy/sources.h"

namespace rn {

class Egress {
 public:
  Egress(Context& context, Destinations::Options options)
      : context_(context), options_(options), destinations_(std::move(options)) {}

  // Replaces the policy; everything is allowed where `encoded` is empty. `host` are the host's own addresses. Returns false,
  // and changes nothing, where that is not a policy.
  bool setPolicy(std::string_view encoded, const std::vector<Address>& host);

  // From now on the rules that would be needed are recorded (policy/learner.h); `host` as above. Without a policy only.
  void learn(const std::vector<Address>& host);
  // Null unless it was called.
  const Learner* learner() const { return learner_.get(); }

  // As Sources::set() and remove(); see Gateway, which ends what began before.
  Sources& sources() { return sources_; }
  // The host's own addresses, for policies of sources.
  void setSourceHost(const std::vector<Address>& host) { sources_.setHostAddresses(withGateways(host)); }

  // As Destinations::find(). An address that was found, and is used, is reported by opened(), and later by closed().
  Destination find(const Address& client, const Address& inside, uint8_t protocol);
  // Of a destination that needs it; whether the connection may continue.
  bool decidePeeked(const Address& client, const Address& inside, const Peeked& peeked);
  void opened(const Address& client, const Address& inside);
  void closed(const Address& client, const Address& inside);

  // A query for a name: whether it may be asked.
  bool allowsName(const Address& client, std::string_view name, uint16_t type);
  // The addresses that were the answer to it.
  void answered(const Address& client, std::string_view name, const std::vector<Address>& addresses, uint32_t ttl);
  // Whether names matter: then answers have to be understood, and clients to show which name they connect to.
  bool watchesNames(const Address& client);
  // Of an address that programs were given as an answer; "" for none.
  std::string nameOf(const Address& inside);

  Policy& policy() { return policy_; }

 private:
  static constexpr int kReportsPerSecond = 20;

  // What all policies decide together: the first that denies, and its number; or the first that needs a look.
  struct Verdict {
    Decision decision;
    // 0 for the stack's, and from 1 on those of the source.
    size_t policy = 0;
  };
  // Of what is denied.
  struct Denied {
    uint8_t protocol = 0;
    std::string destination;
  };

  template <typename Visit>
  void eachPolicy(const Address& client, Visit visit);
  template <typename Weigh, typename Count>
  Verdict decide(const Address& client, bool granted, Weigh weigh, Count count);
  std::vector<Address> withGateways(std::vector<Address> addresses) const;
  void reportDenied(const Address& client, const Denied& denied, const Verdict& verdict);

  Context& context_;
  Destinations::Options options_;
  Destinations destinations_;
  // The stack's.
  Policy policy_;
  std::unique_ptr<Learner> learner_;
  Sources sources_;
  uint64_t second_ = 0;
  int reports_ = 0;
};

}  // namespace rn
