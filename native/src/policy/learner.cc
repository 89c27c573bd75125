#include "policy/learner.h"

#include <utility>

#include "policy/peek/host_name.h"
#include "policy/rules/port_kinds.h"

namespace rn {

bool Learner::begun(Protocol protocol, const Address& destination, uint64_t now) {
  Address plain = destination.unmapped();
  std::string name(policy_.nameOf(plain, now));
  if (name.empty() || policy_.rangeOf(plain) != Range::open) {
    addAddress(protocol, plain);
  } else if (ports::isPeeked(protocol, plain.port())) {
    return true;
  } else if (ports::hidesNames(protocol, plain.port())) {
    addAddress(protocol, plain);
    // Where that is refused all the same, clients of QUIC use TLS.
    if (plain.port() == 443) addName(Protocol::tcp, name, plain, now);
  } else {
    addName(protocol, name, plain, now);
  }
  return false;
}

void Learner::peeked(const Address& destination, const Peeked& peeked, uint64_t now) {
  Address plain = destination.unmapped();
  if (!ports::needsName(peeked, plain.port())) {
    addName(Protocol::tcp, std::string(policy_.nameOf(plain, now)), plain, now);
  } else if (policy_.isNameOf(plain, peeked.name, now)) {
    addName(Protocol::tcp, peeked.name, plain, now);
  } else {
    addAddress(Protocol::tcp, plain);
  }
}

void Learner::asked(std::string_view name) {
  LearnedRule rule;
  rule.protocol = LearnedRule::Protocol::dns;
  if (normalizeName(name, &rule.text)) add(std::move(rule));
}

void Learner::addName(Protocol protocol, const std::string& name, const Address& destination, uint64_t now) {
  policy_.use(destination, name, now);
  LearnedRule rule;
  rule.protocol = LearnedRule::Protocol(protocol);
  rule.text = name;
  rule.port = protocol == Protocol::icmp ? 0 : destination.port();
  add(std::move(rule));
}

void Learner::addAddress(Protocol protocol, const Address& address) {
  LearnedRule rule;
  rule.protocol = LearnedRule::Protocol(protocol);
  bool isHost = policy_.rangeOf(address) == Range::host;
  rule.place = isHost ? LearnedRule::Place::host : LearnedRule::Place::address;
  if (!isHost) rule.text = address.ip();
  rule.port = protocol == Protocol::icmp ? 0 : address.port();
  add(std::move(rule));
}

void Learner::add(LearnedRule rule) {
  if (rules_.size() < kMaxRules) rules_.insert(std::move(rule));
  else if (rules_.count(rule) == 0) full_ = true;
}

}  // namespace rn
