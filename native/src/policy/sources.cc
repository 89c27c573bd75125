#include "policy/sources.h"

#include <algorithm>

namespace rn {

bool Sources::set(uint32_t id, const std::vector<Address>& addresses, const std::vector<std::string>& encoded,
                  std::vector<Address>* taken) {
  if (addresses.size() > kMostAddresses || encoded.size() > kMostPolicies) return false;
  if (sources_.size() >= kMost && sources_.count(id) == 0) return false;
  PolicyModel ignored;
  for (const std::string& one : encoded) {
    if (!one.empty() && !PolicyModel::decode(one, &ignored)) return false;
  }
  Source& source = sources_[id];
  for (const Address& address : addresses) {
    auto at = ids_.find(keyOf(address));
    if (at == ids_.end() || at->second != id) taken->push_back(address);
  }
  forget(source, id);
  source.addresses = addresses;
  for (const Address& address : addresses) ids_[keyOf(address)] = id;
  source.policies.resize(encoded.size());
  source.encoded.resize(encoded.size());
  for (size_t i = 0; i < encoded.size(); i++) {
    std::unique_ptr<Policy>& policy = source.policies[i];
    if (policy && source.encoded[i] == encoded[i]) continue;
    if (!policy) {
      policy = std::make_unique<Policy>();
      policy->setHostAddresses(host_);
    }
    if (encoded[i].empty()) policy->clear();
    else policy->load(encoded[i]);
    source.encoded[i] = encoded[i];
  }
  shareNames();
  return true;
}

void Sources::remove(uint32_t id, std::vector<Address>* left) {
  auto at = sources_.find(id);
  if (at == sources_.end()) return;
  left->insert(left->end(), at->second.addresses.begin(), at->second.addresses.end());
  forget(at->second, id);
  sources_.erase(at);
  shareNames();
}

void Sources::setHostAddresses(const std::vector<Address>& addresses) {
  host_ = addresses;
  for (auto& [id, source] : sources_) {
    for (const auto& policy : source.policies) policy->setHostAddresses(host_);
  }
}

void Sources::limit(uint32_t id, LimitPair* limit) {
  auto at = sources_.find(id);
  if (at != sources_.end()) at->second.limit = limit;
}

const Sources::Source* Sources::sourceOf(const Address& client) const {
  if (ids_.empty()) return nullptr;
  auto at = ids_.find(keyOf(client));
  if (at == ids_.end()) return nullptr;
  auto source = sources_.find(at->second);
  return source == sources_.end() ? nullptr : &source->second;
}

const Sources::Policies* Sources::of(const Address& client) const {
  const Source* source = sourceOf(client);
  return source == nullptr ? nullptr : &source->policies;
}

LimitPair* Sources::limitOf(const Address& client) const {
  const Source* source = sourceOf(client);
  return source == nullptr ? nullptr : source->limit;
}

const Sources::Policies* Sources::byId(uint32_t id) const {
  auto at = sources_.find(id);
  return at == sources_.end() ? nullptr : &at->second.policies;
}

void Sources::forget(const Source& source, uint32_t id) {
  for (const Address& address : source.addresses) {
    auto at = ids_.find(keyOf(address));
    // It may be another source's by now.
    if (at != ids_.end() && at->second == id) ids_.erase(at);
  }
}

void Sources::shareNames() {
  size_t count = 0;
  for (const auto& [id, source] : sources_) count += source.policies.size();
  if (count == 0) return;
  size_t each = std::clamp(kNames / count, kLeastNames, NameTable::kMaxPairs);
  for (const auto& [id, source] : sources_) {
    for (const auto& policy : source.policies) policy->limitNames(each);
  }
}

}  // namespace rn
