#include "dns/answers/addresses.h"

#include <string.h>
#include <algorithm>
#include <utility>

#include "dns/answers/service_params.h"

namespace rn {

namespace dns {

namespace {

struct Alias {
  Name from;
  Name to;
  uint32_t ttl;
};

bool hasQuestionOf(std::string_view reply, Question* question) {
  Header header;
  return readHeader(reply, &header) && header.isResponse() && readQuestion(reply, question);
}

// Whether this record is an answer of the Internet's class.
bool isAnswer(const Record& record) { return record.section == Record::Section::answer && record.recordClass == kIN; }

// All CNAME records.
bool findAliases(std::string_view reply, std::vector<Alias>* out) {
  Records records(reply);
  Record record;
  while (records.next(&record)) {
    if (!isAnswer(record) || record.type != kCNAME) continue;
    if (out->size() == kMaxAliases) return false;
    Alias alias;
    size_t end;
    if (!records.owner(record, &alias.from) || !records.nameIn(record, 0, &alias.to, &end)) return false;
    if (end != record.data.size()) return false;
    alias.ttl = record.ttl;
    out->push_back(alias);
  }
  return records.complete();
}

class Finder {
 public:
  Finder(std::string_view reply, Found* out) : reply_(reply), records_(reply), out_(out) { out_->ttl = UINT32_MAX; }

  // Follows the chain from that name on. Each of its records counts once, so a circle ends, too.
  void follow(const Name& asked, std::vector<Alias> aliases) {
    last_ = asked;
    for (;;) {
      auto isNext = [&](const Alias& alias) { return alias.from == last_; };
      auto next = std::find_if(aliases.begin(), aliases.end(), isNext);
      if (next == aliases.end()) return;
      last_ = next->to;
      note(last_, next->ttl);
      aliases.erase(next);
    }
  }

  // Adds what records of the chain's last name have.
  bool collect() {
    Record record;
    while (records_.next(&record)) {
      bool wanted = record.type == kA || record.type == kAAAA || record.type == kHTTPS || record.type == kSVCB;
      if (!wanted || !isAnswer(record)) continue;
      bool matches;
      if (!belongs(record, &matches) || (matches && !add(record))) return false;
    }
    if (out_->addresses.empty() && out_->names.empty()) out_->ttl = 0;
    return records_.complete();
  }

 private:
  // Whether its owner is the chain's last name. All records of a set usually have the same pointer for it.
  bool belongs(const Record& record, bool* matches) {
    std::string_view pointer = record.pointerAt == record.at ? reply_.substr(record.at, 2) : std::string_view();
    if (pointer.empty() || pointer != pointer_) {
      Name owner;
      if (!records_.owner(record, &owner)) return false;
      matches_ = owner == last_;
    }
    pointer_ = pointer;
    *matches = matches_;
    return true;
  }

  void note(const Name& name, uint32_t ttl) {
    out_->names.push_back(name);
    out_->ttl = std::min(out_->ttl, ttl);
  }

  // One or more addresses without anything between them.
  bool addAddresses(std::string_view data, sa_family_t family, uint32_t ttl) {
    size_t size = family == AF_INET ? sizeof(in_addr) : sizeof(in6_addr);
    if (data.empty() || data.size() % size != 0) return false;
    if (out_->addresses.size() + data.size() / size > kMaxAddresses) return false;
    for (size_t at = 0; at < data.size(); at += size) {
      Address address;
      address.sa.sa_family = family;
      address.length = family == AF_INET ? sizeof address.v4 : sizeof address.v6;
      void* to = family == AF_INET ? static_cast<void*>(&address.v4.sin_addr) : &address.v6.sin6_addr;
      memcpy(to, data.data() + at, size);
      out_->addresses.push_back(address);
    }
    out_->ttl = std::min(out_->ttl, ttl);
    return true;
  }

  bool add(const Record& record) {
    if (record.type == kA)
      return record.data.size() == sizeof(in_addr) && addAddresses(record.data, AF_INET, record.ttl);
    if (record.type == kAAAA) {
      return record.data.size() == sizeof(in6_addr) && addAddresses(record.data, AF_INET6, record.ttl);
    }
    Name target;
    ServiceParams params;
    if (!params.open(&records_, record, &target)) return false;
    if (target.length > 1 && target != last_) {
      if (out_->names.size() >= kMaxTargets) return false;
      note(target, record.ttl);
    }
    ServiceParam param;
    while (params.next(&param)) {
      if (param.key == ServiceParam::kIPv4Hint && !addAddresses(param.value, AF_INET, record.ttl)) return false;
      if (param.key == ServiceParam::kIPv6Hint && !addAddresses(param.value, AF_INET6, record.ttl)) return false;
    }
    return params.complete();
  }

  std::string_view reply_;
  Records records_;
  Found* out_;
  Name last_;
  // Of the record before.
  std::string_view pointer_;
  bool matches_ = false;
};

}  // namespace

bool findAddresses(std::string_view reply, Found* out) {
  *out = {};
  Question question;
  if (!hasQuestionOf(reply, &question)) return false;
  std::vector<Alias> aliases;
  if (!findAliases(reply, &aliases)) return false;
  Finder finder(reply, out);
  finder.follow(question.name, std::move(aliases));
  return finder.collect();
}

}  // namespace dns

}  // namespace rn
