#include "outbound/egress.h"

#include <errno.h>
#include <netinet/in.h>
#include <array>
#include <utility>

namespace rn {

namespace {

Protocol protocolOf(uint8_t number) {
  if (number == IPPROTO_TCP) return Protocol::tcp;
  return number == IPPROTO_UDP ? Protocol::udp : Protocol::icmp;
}

}  // namespace

bool Egress::setPolicy(std::string_view encoded, const std::vector<Address>& host) {
  if (encoded.empty()) {
    policy_.clear();
    return true;
  }
  if (!policy_.load(encoded)) return false;
  policy_.setHostAddresses(withGateways(host));
  return true;
}

void Egress::learn(const std::vector<Address>& host) {
  if (!learner_) learner_ = std::make_unique<Learner>(policy_);
  policy_.setHostAddresses(withGateways(host));
}

std::vector<Address> Egress::withGateways(std::vector<Address> addresses) const {
  for (const Destinations::Subnet* subnet : {&options_.v4, &options_.v6}) {
    if (subnet->gateway.family() != 0) addresses.push_back(subnet->gateway);
  }
  return addresses;
}

// Calls visit(policy, its number) for each, until it returns false.
template <typename Visit>
void Egress::eachPolicy(const Address& client, Visit visit) {
  if (!visit(policy_, size_t(0))) return;
  const Sources::Policies* policies = sources_.of(client);
  for (size_t i = 0; policies != nullptr && i < policies->size(); i++) {
    if (!visit(*(*policies)[i], i + 1)) return;
  }
}

// Where one denies, the others have decided nothing.
template <typename Weigh, typename Count>
Egress::Verdict Egress::decide(const Address& client, bool granted, Weigh weigh, Count count) {
  Verdict verdict;
  std::array<std::pair<Policy*, Decision>, 1 + Sources::kMostPolicies> allowing;
  size_t n = 0;
  eachPolicy(client, [&](Policy& policy, size_t number) {
    if (!policy.active() || (granted && number == 0)) return true;
    Decision decision = weigh(policy);
    if (!decision.allowed() && !decision.needsPeek()) {
      count(policy, decision);
      verdict = {decision, number};
      return false;
    }
    if (decision.needsPeek() && verdict.decision.allowed()) verdict = {decision, number};
    allowing[n++] = {&policy, decision};
    return true;
  });
  // What needs a look is decided, and counted, afterwards.
  if (verdict.decision.allowed()) {
    for (size_t i = 0; i < n; i++) count(*allowing[i].first, allowing[i].second);
  }
  return verdict;
}

Destination Egress::find(const Address& client, const Address& inside, uint8_t protocol) {
  Destination destination = destinations_.find(inside, protocol);
  // What may be asked of the DNS server is decided for each name.
  if (destination.kind != Destination::Kind::host) return destination;
  Verdict verdict = decide(
      client, destination.granted,
      [&](Policy& policy) { return policy.weigh(protocolOf(protocol), inside, context_.loop.now()); },
      [](Policy& policy, const Decision& decision) { policy.count(decision); });
  if (verdict.decision.allowed() || verdict.decision.needsPeek()) {
    destination.needsPeek = verdict.decision.needsPeek();
    bool learns = learner_ && !destination.granted;
    if (learns && learner_->begun(protocolOf(protocol), inside, context_.loop.now())) destination.needsPeek = true;
    return destination;
  }
  reportDenied(client, {protocol, protocol == IPPROTO_ICMP ? inside.ip() : inside.text()}, verdict);
  return {Destination::Kind::none, {}, EACCES};
}

bool Egress::decidePeeked(const Address& client, const Address& inside, const Peeked& peeked) {
  bool granted = destinations_.find(inside, IPPROTO_TCP).granted;
  Verdict verdict = decide(
      client, granted, [&](Policy& policy) { return policy.weighPeeked(inside, peeked, context_.loop.now()); },
      [](Policy& policy, const Decision& decision) { policy.count(decision); });
  if (verdict.decision.allowed()) {
    if (learner_ && !granted) learner_->peeked(inside, peeked, context_.loop.now());
    return true;
  }
  reportDenied(client, {IPPROTO_TCP, inside.text() + (peeked.name.empty() ? "" : " ") + peeked.name}, verdict);
  return false;
}

bool Egress::allowsName(const Address& client, std::string_view name, uint16_t type) {
  Verdict verdict = decide(
      client, false, [&](Policy& policy) { return policy.weighName(name, type); },
      [](Policy& policy, const Decision& decision) { policy.countName(decision); });
  if (verdict.decision.allowed()) {
    if (learner_) learner_->asked(name);
    return true;
  }
  reportDenied(client, {0, std::string(name)}, verdict);
  return false;
}

void Egress::answered(const Address& client, std::string_view name, const std::vector<Address>& addresses,
                      uint32_t ttl) {
  eachPolicy(client, [&](Policy& policy, size_t) {
    policy.learn(name, addresses, ttl, context_.loop.now());
    return true;
  });
}

void Egress::opened(const Address& client, const Address& inside) {
  eachPolicy(client, [&](Policy& policy, size_t) {
    policy.opened(inside);
    return true;
  });
}

void Egress::closed(const Address& client, const Address& inside) {
  eachPolicy(client, [&](Policy& policy, size_t) {
    policy.closed(inside, context_.loop.now());
    return true;
  });
}

bool Egress::watchesNames(const Address& client) {
  bool watches = learner_ != nullptr;
  eachPolicy(client, [&](Policy& policy, size_t) { return !(watches = watches || policy.active()); });
  return watches;
}

std::string Egress::nameOf(const Address& inside) { return std::string(policy_.nameOf(inside, context_.loop.now())); }

void Egress::reportDenied(const Address& client, const Denied& denied, const Verdict& verdict) {
  uint64_t second = context_.loop.now() / 1000;
  if (second != second_) {
    second_ = second;
    reports_ = 0;
  }
  if (++reports_ > kReportsPerSecond) return;
  Event event{Event::Kind::egressDenied};
  event.id = denied.protocol;
  event.connection = uint64_t(int64_t(verdict.decision.rule));
  // The policy.
  event.in = verdict.policy;
  event.text = denied.protocol == IPPROTO_ICMP ? client.ip() : client.text();
  event.data = denied.destination + "\n" + verdict.decision.text();
  context_.events.emit(std::move(event));
}

}  // namespace rn
