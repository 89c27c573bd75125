#include "outbound/egress.h"

#include <errno.h>
#include <netinet/in.h>

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
  setHostAddresses(host);
  return true;
}

void Egress::learn(const std::vector<Address>& host) {
  if (!learner_) learner_ = std::make_unique<Learner>(policy_);
  setHostAddresses(host);
}

void Egress::setHostAddresses(std::vector<Address> addresses) {
  for (const Destinations::Subnet* subnet : {&options_.v4, &options_.v6}) {
    if (subnet->gateway.family() != 0) addresses.push_back(subnet->gateway);
  }
  policy_.setHostAddresses(addresses);
}

Destination Egress::find(const Address& client, const Address& inside, uint8_t protocol) {
  Destination destination = destinations_.find(inside, protocol);
  // What may be asked of the DNS server is decided for each name.
  if (destination.kind != Destination::Kind::host || destination.granted) return destination;
  if (learner_) destination.needsPeek = learner_->begun(protocolOf(protocol), inside, context_.loop.now());
  if (!policy_.active()) return destination;
  Decision decision = policy_.decide(protocolOf(protocol), inside, context_.loop.now());
  if (decision.allowed() || decision.needsPeek()) {
    destination.needsPeek = decision.needsPeek();
    return destination;
  }
  reportDenied(protocol, client, protocol == IPPROTO_ICMP ? inside.ip() : inside.text(), decision);
  return {Destination::Kind::none, {}, EACCES};
}

bool Egress::decidePeeked(const Address& client, const Address& inside, const Peeked& peeked) {
  if (learner_) learner_->peeked(inside, peeked, context_.loop.now());
  if (!policy_.active()) return true;
  Decision decision = policy_.decidePeeked(inside, peeked, context_.loop.now());
  if (decision.allowed()) return true;
  std::string destination = inside.text();
  if (!peeked.name.empty()) destination += " " + peeked.name;
  reportDenied(IPPROTO_TCP, client, destination, decision);
  return false;
}

bool Egress::allowsName(const Address& client, std::string_view name, uint16_t type) {
  if (learner_) learner_->asked(name);
  if (!policy_.active()) return true;
  Decision decision = policy_.decideName(name, type);
  if (decision.allowed()) return true;
  reportDenied(0, client, std::string(name), decision);
  return false;
}

void Egress::answered(std::string_view name, const std::vector<Address>& addresses, uint32_t ttl) {
  policy_.learn(name, addresses, ttl, context_.loop.now());
}

std::string Egress::nameOf(const Address& inside) {
  return std::string(policy_.nameOf(inside, context_.loop.now()));
}

void Egress::reportDenied(uint8_t protocol, const Address& client, const std::string& destination,
                          const Decision& decision) {
  uint64_t second = context_.loop.now() / 1000;
  if (second != second_) {
    second_ = second;
    reports_ = 0;
  }
  if (++reports_ > kReportsPerSecond) return;
  Event event{Event::Kind::egressDenied};
  event.id = protocol;
  event.connection = uint64_t(int64_t(decision.rule));
  event.text = protocol == IPPROTO_ICMP ? client.ip() : client.text();
  event.data = destination + "\n" + decision.text();
  context_.events.emit(std::move(event));
}

}  // namespace rn
