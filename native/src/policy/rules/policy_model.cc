#include "policy/rules/policy_model.h"

#include "policy/peek/host_name.h"

namespace rn {

namespace {

constexpr uint8_t kVersion = 1;

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }

  bool bytes(size_t count, std::string_view* out) {
    if (rest_.size() < count) return false;
    *out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return true;
  }

  bool number(size_t count, uint32_t most, uint32_t* value) {
    std::string_view digits;
    if (!bytes(count, &digits)) return false;
    *value = 0;
    for (char digit : digits) *value = *value << 8 | uint8_t(digit);
    return *value <= most;
  }

 private:
  std::string_view rest_;
};

bool readNetwork(Reader* in, RuleModel* rule) {
  uint32_t family, prefix;
  std::string_view address;
  if (!in->number(1, 6, &family) || (family != 4 && family != 6)) return false;
  if (!in->number(1, family == 4 ? 32 : 128, &prefix) || !in->bytes(family == 4 ? 4 : 16, &address)) return false;
  rule->network = AddressNumber::ofBytes(reinterpret_cast<const uint8_t*>(address.data()), int(family));
  rule->prefix = int(prefix) + (family == 4 ? kMappedBits : 0);
  return rule->network == rule->network.masked(rule->prefix);
}

bool readName(Reader* in, RuleModel* rule) {
  uint32_t length;
  std::string_view name;
  if (!in->number(1, kMaxName, &length) || !in->bytes(length, &name)) return false;
  return normalizeName(name, &rule->name) && rule->name == name;
}

bool readRule(Reader* in, RuleModel* rule) {
  constexpr uint32_t kProtocols = RuleModel::kAll | RuleModel::kNames;
  uint32_t deny, protocols, first, last, place;
  if (!in->number(1, 1, &deny) || !in->number(1, kProtocols, &protocols)) return false;
  if (!in->number(2, 65535, &first) || !in->number(2, 65535, &last) || first > last) return false;
  if (!in->number(1, uint32_t(RuleModel::Place::nothing), &place)) return false;
  rule->deny = deny == 1;
  rule->protocols = uint8_t(protocols);
  rule->firstPort = uint16_t(first);
  rule->lastPort = uint16_t(last);
  rule->place = RuleModel::Place(place);
  if (rule->place == RuleModel::Place::network) return readNetwork(in, rule);
  return !rule->isAboutNames() || readName(in, rule);
}

}  // namespace

bool PolicyModel::decode(std::string_view bytes, PolicyModel* out) {
  Reader in(bytes);
  PolicyModel model;
  uint32_t version, deny, count;
  if (!in.number(1, kVersion, &version) || version != kVersion || !in.number(1, 1, &deny)) return false;
  if (!in.number(4, kMaxRules, &count)) return false;
  model.denyByDefault = deny == 1;
  for (uint32_t i = 0; i < count; i++) {
    model.rules.emplace_back();
    if (!readRule(&in, &model.rules.back())) return false;
  }
  if (!in.empty()) return false;
  *out = std::move(model);
  return true;
}

}  // namespace rn
