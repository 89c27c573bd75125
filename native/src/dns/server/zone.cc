#include "dns/server/zone.h"

#include <algorithm>
#include <cstdlib>

#include "system/sockets.h"

namespace rn {

namespace dns {

namespace {

constexpr size_t kMaxLabel = 63;
constexpr char kInternal[] = "\x08rootless\x08internal";
constexpr char kReverse4[] =
    "\x07in-addr\x04"
    "arpa";
constexpr char kReverse6[] =
    "\x03ip6\x04"
    "arpa";

// Removes the first word.
std::string_view nextWord(std::string_view* line) {
  size_t begin = std::min(line->find_first_not_of(' '), line->size());
  size_t end = std::min(line->find(' ', begin), line->size());
  std::string_view word = line->substr(begin, end - begin);
  line->remove_prefix(end);
  return word;
}

bool numberOf(std::string_view text, AddressNumber* out) {
  Address address;
  if (!Address::parse(std::string(text), 0, &address)) return false;
  *out = AddressNumber::of(address);
  return true;
}

// Where its labels begin.
std::vector<uint8_t> beginsOf(std::string_view labels) {
  std::vector<uint8_t> begins;
  for (size_t at = 0; at < labels.size(); at += size_t(uint8_t(labels[at])) + 1) begins.push_back(uint8_t(at));
  return begins;
}

// Whether it ends with those labels; `rest` gets what is before them.
bool endsWith(std::string_view labels, const std::vector<uint8_t>& begins, std::string_view suffix,
              std::string_view* rest) {
  if (labels.size() < suffix.size() || suffix.empty()) return false;
  size_t at = labels.size() - suffix.size();
  if (labels.substr(at) != suffix) return false;
  if (!std::binary_search(begins.begin(), begins.end(), uint8_t(at))) return false;
  *rest = labels.substr(0, at);
  return true;
}

int digitOf(char c, int base) {
  if (c >= '0' && c <= '9') return c - '0';
  return base == 16 && c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// 2.0.4.10 of in-addr.arpa.
bool addressOf4(std::string_view labels, AddressNumber* out) {
  uint8_t bytes[4];
  for (int i = 3; i >= 0; i--) {
    if (labels.empty()) return false;
    auto length = size_t(uint8_t(labels[0]));
    int value = 0;
    if (length > 3 || (length > 1 && labels[1] == '0')) return false;
    for (char c : labels.substr(1, length)) {
      if (digitOf(c, 10) < 0) return false;
      value = value * 10 + digitOf(c, 10);
    }
    if (value > 255) return false;
    bytes[i] = uint8_t(value);
    labels.remove_prefix(length + 1);
  }
  *out = AddressNumber::ofBytes(bytes, 4);
  return labels.empty();
}

// 32 digits of ip6.arpa.
bool addressOf6(std::string_view labels, AddressNumber* out) {
  uint8_t bytes[16] = {};
  if (labels.size() != 64) return false;
  for (size_t i = 0; i < 32; i++) {
    int digit = digitOf(labels[2 * i + 1], 16);
    if (labels[2 * i] != 1 || digit < 0) return false;
    bytes[15 - i / 2] |= uint8_t(digit << (i % 2 == 0 ? 0 : 4));
  }
  *out = AddressNumber::ofBytes(bytes, 6);
  return true;
}

void addTo(Zone::Addresses* all, const Zone::Addresses& more) {
  for (auto [to, from] : {std::pair{&all->v4, &more.v4}, std::pair{&all->v6, &more.v6}}) {
    for (const AddressNumber& address : *from) {
      if (std::find(to->begin(), to->end(), address) == to->end()) to->push_back(address);
    }
  }
}

// Entries of that name, with or without the network's.
class Search {
 public:
  explicit Search(const View& view) : view_(view) {}

  void add(std::string_view labels) {
    std::vector<uint8_t> begins = beginsOf(labels);
    std::string_view rest;
    for (const Zone* zone : view_.zones) {
      note(zone->find(labels));
      if (endsWith(labels, begins, zone->network(), &rest)) note(zone->find(rest));
    }
  }
  void addExact(std::string_view labels) {
    for (const Zone* zone : view_.zones) note(zone->findExact(labels));
  }
  void addInDomain(std::string_view labels) {
    for (const Zone* zone : view_.zones) note(zone->findInDomain(labels));
  }

  // A reserved name exists where another one holds it.
  Finding result() {
    bool has = !found.v4.empty() || !found.v6.empty();
    return {has ? Finding::Kind::exists : known ? Finding::Kind::missing : Finding::Kind::unknown, std::move(found)};
  }
  bool known = false;

 private:
  void note(const Zone::Addresses* addresses) {
    if (addresses == nullptr) return;
    known = true;
    addTo(&found, *addresses);
  }

  const View& view_;
  Zone::Addresses found;
};

Finding findReverse(const View& view, const std::vector<const Zone*>& all, const AddressNumber& address) {
  for (const Zone* zone : view.zones) {
    const Labels* name = zone->nameOf(address);
    if (name != nullptr) return {Finding::Kind::reverse, {}, *name};
  }
  bool ours = std::any_of(all.begin(), all.end(), [&](const Zone* zone) { return zone->contains(address); });
  return {ours ? Finding::Kind::missing : Finding::Kind::unknown};
}

}  // namespace

bool labelsOf(std::string_view text, Labels* out) {
  out->clear();
  while (!text.empty()) {
    size_t end = std::min(text.find('.'), text.size());
    if (end == 0 || end > kMaxLabel) return false;
    out->push_back(char(end));
    for (char c : text.substr(0, end)) out->push_back(c >= 'A' && c <= 'Z' ? char(c + 'a' - 'A') : c);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return !out->empty() && out->size() < Name::kMaxLength;
}

Zone::Zone(std::string_view text) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    readLine(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void Zone::readLine(std::string_view line) {
  std::string_view keyword = nextWord(&line);
  std::string_view first = nextWord(&line);
  AddressNumber address;
  Labels labels;
  if (keyword == "outside") {
    outside_ = true;
  } else if (keyword == "only") {
    only_ = true;
  } else if (keyword == "network" && labelsOf(first, &labels)) {
    network_ = labels;
  } else if (keyword == "search" && labelsOf(first, &labels)) {
    search_.push_back(labels);
  } else if (keyword == "subnet") {
    size_t slash = first.find('/');
    if (slash == std::string_view::npos || !numberOf(first.substr(0, slash), &address)) return;
    int prefix = atoi(std::string(first.substr(slash + 1)).c_str()) + (address.isIPv4() ? kMappedBits : 0);
    if (prefix >= 0 && prefix <= 128) subnets_.push_back({address.masked(prefix), prefix});
  } else if (keyword == "reverse" && numberOf(first, &address) && labelsOf(nextWord(&line), &labels)) {
    reverse_.emplace(address, labels);
  } else if ((keyword == "name" || keyword == "exact" || keyword == "domain") && labelsOf(first, &labels)) {
    Addresses& addresses = (keyword == "name" ? names_ : keyword == "exact" ? exact_ : domain_)[labels];
    if (keyword == "domain") addAbove(labels);
    Addresses more;
    for (std::string_view word = nextWord(&line); !word.empty(); word = nextWord(&line)) {
      if (numberOf(word, &address)) (address.isIPv4() ? more.v4 : more.v6).push_back(address);
    }
    addTo(&addresses, more);
  }
}

void Zone::addAbove(std::string_view labels) {
  for (labels.remove_prefix(size_t(uint8_t(labels[0])) + 1); !labels.empty();
       labels.remove_prefix(size_t(uint8_t(labels[0])) + 1)) {
    above_.emplace(labels);
  }
}

const Zone::Addresses* Zone::findIn(const Names& names, std::string_view labels) {
  auto it = names.find(Labels(labels));
  return it == names.end() ? nullptr : &it->second;
}

bool Zone::contains(const AddressNumber& address) const {
  return std::any_of(subnets_.begin(), subnets_.end(), [&](const Subnet& subnet) {
    return address.masked(subnet.prefix) == subnet.first && (subnet.prefix >= kMappedBits || !address.isIPv4());
  });
}

const Labels* Zone::nameOf(const AddressNumber& address) const {
  auto it = reverse_.find(address);
  return it == reverse_.end() ? nullptr : &it->second;
}

Finding find(const View& view, const std::vector<const Zone*>& all, const Name& name) {
  std::string_view labels = name.wire().substr(0, size_t(name.length) - 1);
  std::vector<uint8_t> begins = beginsOf(labels);
  std::string_view rest;
  AddressNumber address;
  Search search(view);
  search.addExact(labels);
  if (search.known) return search.result();
  if (endsWith(labels, begins, {kInternal, sizeof kInternal - 1}, &rest)) {
    // The domain itself has no records, and exists.
    if (rest.empty()) return {Finding::Kind::exists};
    search.add(rest);
    if (!search.known) search.addInDomain(rest);
    if (search.known) return search.result();
    bool hasBelow = std::any_of(view.zones.begin(), view.zones.end(), [&](auto zone) { return zone->hasBelow(rest); });
    return {hasBelow ? Finding::Kind::exists : Finding::Kind::missing};
  }
  bool reverse4 = endsWith(labels, begins, {kReverse4, sizeof kReverse4 - 1}, &rest) && addressOf4(rest, &address);
  bool reverse6 =
      !reverse4 && endsWith(labels, begins, {kReverse6, sizeof kReverse6 - 1}, &rest) && addressOf6(rest, &address);
  if (reverse4 || reverse6) return findReverse(view, all, address);
  search.add(labels);
  if (search.known) return search.result();
  for (const Zone* zone : view.zones) {
    for (const Labels& domain : zone->search()) {
      if (endsWith(labels, begins, domain, &rest)) search.add(rest);
    }
  }
  return search.result();
}

}  // namespace dns

}  // namespace rn
