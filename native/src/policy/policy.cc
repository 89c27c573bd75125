#include "policy/policy.h"

#include <algorithm>

#include "dns/message.h"
#include "policy/peek/host_name.h"
#include "policy/rules/port_kinds.h"

namespace rn {

namespace {

using Verdict = Decision::Verdict;
using Reason = Decision::Reason;

Decision allow(int rule) { return {Verdict::allow, Reason::none, Range::open, rule}; }
Decision deny(Reason reason, int rule = -1) { return {Verdict::deny, reason, Range::open, rule}; }

// The name of a service is one of the host behind it: _imaps._tcp.example.com (RFC 8552).
std::string_view withoutService(std::string_view name) {
  for (int i = 0; i < 2 && !name.empty() && name[0] == '_'; i++) {
    size_t dot = name.find('.');
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  return name;
}

}  // namespace

std::string Decision::text() const {
  switch (reason) {
    case Reason::none: return "";
    case Reason::rule: return "a rule denies it";
    case Reason::notAllowed: return "no rule allows it";
    case Reason::special: return std::string("it is ") + describe(range) + ", which no rule lists";
    case Reason::hidden: return "names cannot be checked at this port, and no rule lists address and port";
    case Reason::noName: return "the client has not sent the name of a server";
    case Reason::otherName: return "the name that the client has sent is not allowed, or not a name of this address";
    case Reason::queryType: return "a query of this type is not for records of a name";
  }
  return "";
}

bool Policy::load(std::string_view encoded) {
  PolicyModel model;
  if (!PolicyModel::decode(encoded, &model)) return false;
  clear();
  active_ = true;
  denyByDefault_ = model.denyByDefault;
  rules_ = std::move(model.rules);
  counters_.resize(rules_.size());
  for (uint32_t i = 0; i < rules_.size(); i++) {
    const RuleModel& rule = rules_[i];
    if (rule.isAboutNames()) {
      namesRule_ |= (rule.protocols & RuleModel::kAll) != 0;
      (rule.deny ? deniedNames_ : allowedNames_).add(rule.name, rule.place == RuleModel::Place::subdomains, i);
    } else if (rule.place == RuleModel::Place::network) {
      networks_.add(rule.network, rule.prefix, i);
    } else if (rule.place != RuleModel::Place::nothing) {
      others_.push_back(i);
      int* names = rule.deny ? &noNames_ : &allNames_;
      if ((rule.protocols & RuleModel::kNames) != 0 && *names < 0) *names = int(i);
    }
  }
  networks_.sort();
  return true;
}

void Policy::clear() {
  active_ = denyByDefault_ = namesRule_ = false;
  rules_.clear();
  networks_ = {};
  others_.clear();
  allowedNames_ = {};
  deniedNames_ = {};
  allNames_ = noNames_ = -1;
  counters_.clear();
  defaultCounters_ = {};
}

void Policy::setHostAddresses(const std::vector<Address>& addresses) {
  hostAddresses_.clear();
  for (const Address& address : addresses) hostAddresses_.push_back(AddressNumber::of(address.unmapped()));
  std::sort(hostAddresses_.begin(), hostAddresses_.end());
}

Decision Policy::decide(Protocol protocol, const Address& destination, uint64_t now) {
  Decision decision = weigh(protocol, destination, now);
  count(decision);
  return decision;
}

Decision Policy::decidePeeked(const Address& destination, const Peeked& peeked, uint64_t now) {
  Decision decision = weighPeeked(destination, peeked, now);
  count(decision);
  return decision;
}

Decision Policy::weigh(Protocol protocol, const Address& destination, uint64_t now) {
  Address plain = destination.unmapped();
  return judge({protocol, AddressNumber::of(plain), plain.port(), nullptr, now});
}

Decision Policy::weighPeeked(const Address& destination, const Peeked& peeked, uint64_t now) {
  Address plain = destination.unmapped();
  return judge({Protocol::tcp, AddressNumber::of(plain), plain.port(), &peeked, now});
}

Decision Policy::judge(const Request& request) {
  if (!active_) return allow(-1);
  SpecialRange range = rangeOf(request.address);
  AddressRules found = addressRules(request, range);
  if (found.denied >= 0) return deny(Reason::rule, found.denied);
  if (namesRule_ && !found.listed && ports::hidesNames(request.protocol, request.port)) return deny(Reason::hidden);
  if (found.allowed >= 0 || (!denyByDefault_ && range.range == Range::open)) return judgeOpen(request, found.allowed);
  if (range.range == Range::open) return judgeName(request);
  Decision denied = deny(Reason::special);
  denied.range = range.range;
  return denied;
}

// The address is allowed: what is left are names that are denied.
Decision Policy::judgeOpen(const Request& request, int allowed) {
  if (deniedNames_.empty()) return allow(allowed);
  auto deniedBy = [&](std::string_view name) { return nameRule(deniedNames_, name, request); };
  if (ports::isPeeked(request.protocol, request.port)) {
    if (request.peeked == nullptr) return {Verdict::peek, Reason::none, Range::open, allowed};
    int denied = request.peeked->name.empty() ? -1 : deniedBy(request.peeked->name);
    return denied >= 0 ? deny(Reason::rule, denied) : allow(allowed);
  }
  int denied = -1;
  names_.find(request.address, request.now, [&](std::string_view name) { return (denied = deniedBy(name)) >= 0; });
  return denied >= 0 ? deny(Reason::rule, denied) : allow(allowed);
}

// The address is allowed only as that of a name.
Decision Policy::judgeName(const Request& request) {
  auto allowedBy = [&](std::string_view name) {
    return nameRule(deniedNames_, name, request) >= 0 ? -1 : nameRule(allowedNames_, name, request);
  };
  int rule = -1;
  std::string name(
      names_.find(request.address, request.now, [&](std::string_view n) { return (rule = allowedBy(n)) >= 0; }));
  if (rule < 0) return deny(Reason::notAllowed);
  if (ports::isPeeked(request.protocol, request.port)) {
    if (request.peeked == nullptr) return {Verdict::peek, Reason::none, Range::open, rule};
    const Peeked& peeked = *request.peeked;
    if (ports::needsName(peeked, request.port)) {
      if (peeked.name.empty()) return deny(Reason::noName);
      name = peeked.name;
      int denied = nameRule(deniedNames_, name, request);
      if (denied >= 0) return deny(Reason::rule, denied);
      rule = nameRule(allowedNames_, name, request);
      auto isIt = [&](std::string_view known) { return known == name; };
      if (rule < 0 || names_.find(request.address, request.now, isIt).empty()) return deny(Reason::otherName);
    }
  }
  names_.use(request.address, name, request.now);
  return allow(rule);
}

Policy::AddressRules Policy::addressRules(const Request& request, const SpecialRange& range) const {
  AddressRules found;
  auto apply = [&](uint32_t index, bool opens) {
    const RuleModel& rule = rules_[index];
    if (!rule.covers(request.protocol, request.port)) return;
    if (rule.deny) {
      if (found.denied < 0) found.denied = int(index);
    } else if (opens) {
      if (found.allowed < 0) found.allowed = int(index);
      if (rule.place != RuleModel::Place::any && !rule.hasAllPorts()) found.listed = true;
    }
  };
  networks_.find(request.address, [&](int prefix, uint32_t index) { apply(index, prefix >= range.prefix); });
  bool isHost = range.range == Range::host;
  for (uint32_t index : others_) {
    const RuleModel& rule = rules_[index];
    if (rule.place == RuleModel::Place::host) {
      if (isHost) apply(index, true);
    } else {
      apply(index, range.range == Range::open);
    }
  }
  return found;
}

SpecialRange Policy::rangeOf(const AddressNumber& address) const {
  constexpr int kAllBits = 128;
  for (const AddressNumber& one : {address, untranslated(address)}) {
    if (std::binary_search(hostAddresses_.begin(), hostAddresses_.end(), one)) return {Range::host, kAllBits};
  }
  return specialRangeOf(address);
}

int Policy::nameRule(const NameRules& rules, std::string_view name, const Request& request) const {
  return rules.find(name, [&](uint32_t rule) { return rules_[rule].covers(request.protocol, request.port); });
}

Decision Policy::decideName(std::string_view name, uint16_t type) {
  Decision decision = weighName(name, type);
  countName(decision);
  return decision;
}

Decision Policy::weighName(std::string_view text, uint16_t type) const {
  if (!active_) return allow(-1);
  std::string name;
  bool valid = normalizeName(text, &name);
  // A rule that denies a name at some ports only does not deny its resolution.
  // Whatever its first labels are, it is below the others.
  std::string judged = name;
  bool known = valid;
  for (size_t dot = text.find('.'); !known && dot != std::string_view::npos; dot = text.find('.', dot + 1)) {
    known = normalizeName("x" + std::string(text.substr(dot)), &judged);
  }
  int denied = known ? queryRule(deniedNames_, judged, true) : -1;
  if (denied < 0) denied = noNames_;
  if (denied >= 0) return deny(Reason::rule, denied);
  if (allNames_ >= 0 || !denyByDefault_) return allow(allNames_);
  if (dns::isMetatype(type)) return deny(Reason::queryType);
  int allowed = valid ? queryRule(allowedNames_, name, false) : -1;
  return allowed >= 0 ? allow(allowed) : deny(Reason::notAllowed);
}

int Policy::queryRule(const NameRules& rules, std::string_view name, bool wholeOnly) const {
  auto wanted = [&](uint32_t index) {
    const RuleModel& rule = rules_[index];
    if (!wholeOnly || (rule.protocols & RuleModel::kNames) != 0) return true;
    return rule.hasAllPorts() && (rule.protocols & RuleModel::kAll) == RuleModel::kAll;
  };
  int rule = rules.find(name, wanted);
  return rule >= 0 ? rule : rules.find(withoutService(name), wanted);
}

void Policy::learn(std::string_view name, const std::vector<Address>& addresses, uint32_t ttl, uint64_t now) {
  std::string normalized;
  if (normalizeName(name, &normalized)) names_.learn(normalized, addresses, ttl, now);
}

std::vector<std::string> Policy::namesOf(const Address& address, uint64_t now) {
  return names_.namesOf(AddressNumber::of(address.unmapped()), now);
}

std::string_view Policy::nameOf(const Address& address, uint64_t now) {
  return names_.find(AddressNumber::of(address.unmapped()), now, [](std::string_view) { return true; });
}

bool Policy::isNameOf(const Address& address, std::string_view name, uint64_t now) {
  auto isIt = [name](std::string_view known) { return known == name; };
  return !names_.find(AddressNumber::of(address.unmapped()), now, isIt).empty();
}

Range Policy::rangeOf(const Address& address) const { return rangeOf(AddressNumber::of(address.unmapped())).range; }

void Policy::use(const Address& destination, std::string_view name, uint64_t now) {
  names_.use(AddressNumber::of(destination.unmapped()), name, now);
}

void Policy::opened(const Address& destination) { names_.opened(AddressNumber::of(destination.unmapped())); }

void Policy::closed(const Address& destination, uint64_t now) {
  names_.closed(AddressNumber::of(destination.unmapped()), now);
}

void Policy::addBytes(int rule, uint64_t out, uint64_t in) {
  // Rules may have been replaced since the connection began.
  if (rule < -1 || rule >= int(rules_.size())) return;
  RuleCounters& counters = countersOf(rule);
  counters.bytesOut += out;
  counters.bytesIn += in;
}

void Policy::count(const Decision& decision) {
  if (decision.needsPeek()) return;
  RuleCounters& counters = countersOf(decision.rule);
  (decision.allowed() ? counters.allowed : counters.denied)++;
}

}  // namespace rn
