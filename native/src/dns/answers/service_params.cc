#include "dns/answers/service_params.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace rn {

namespace dns {

namespace {

// Names in the data of records that may be compressed: how many, and how many bytes precede them.
struct Layout {
  uint16_t type;
  uint8_t before;
  uint8_t names;
};
constexpr Layout kLayouts[] = {
    {kNS, 0, 1},    {3, 0, 1},  {4, 0, 1},  {kCNAME, 0, 1},                 // NS, MD, MF, CNAME
    {kSOA, 0, 2},   {7, 0, 1},  {8, 0, 1},  {9, 0, 1},      {12, 0, 1},     // SOA, MB, MG, MR, PTR
    {14, 0, 2},     {15, 2, 1}, {17, 0, 2}, {18, 2, 1},     {21, 2, 1},     // MINFO, MX, RP, AFSDB, RT
    {26, 2, 2},     {33, 6, 1}, {36, 2, 1}, {39, 0, 1},     {kSVCB, 2, 1},  // PX, SRV, KX, DNAME, SVCB
    {kHTTPS, 2, 1},
};

// Bytes that are left out of the new message, and how many are before them.
struct Cut {
  size_t at;
  size_t length;
  size_t before;
};
// No name has that many records.
constexpr size_t kMaxCuts = 64;

struct Number16 {
  size_t at;
  size_t value;
};

uint16_t number16(std::string_view message, size_t at) {
  return uint16_t(uint8_t(message[at]) << 8 | uint8_t(message[at + 1]));
}

class Rewriter {
 public:
  explicit Rewriter(std::string_view reply) : reply_(reply), records_(reply) {}

  EchResult run(std::string* out) {
    Record record;
    while (records_.next(&record)) {
      if (!readNames(record)) return EchResult::malformed;
      bool service = record.type == kSVCB || record.type == kHTTPS;
      if (service && !readParams(record)) return EchResult::malformed;
    }
    if (!records_.complete()) return EchResult::malformed;
    if (cuts_.empty()) return EchResult::none;
    return write(out) ? EchResult::removed : EchResult::malformed;
  }

 private:
  bool readNames(const Record& record) {
    if (record.pointerAt != 0) pointers_.push_back(record.pointerAt);
    auto isOfType = [&](const Layout& layout) { return layout.type == record.type; };
    const Layout* layout = std::find_if(std::begin(kLayouts), std::end(kLayouts), isOfType);
    if (layout == std::end(kLayouts)) return true;
    size_t offset = layout->before;
    for (int i = 0; i < layout->names; i++) {
      size_t pointerAt;
      if (!records_.nameIn(record, offset, nullptr, &offset, &pointerAt)) return false;
      if (pointerAt != 0) pointers_.push_back(pointerAt);
    }
    return true;
  }

  bool readParams(const Record& record) {
    ServiceParams params;
    ServiceParam param, mandatory;
    Name target;
    if (!params.open(&records_, record, &target)) return false;
    size_t before = removed();
    while (params.next(&param)) {
      if (param.key == ServiceParam::kMandatory) mandatory = param;
      if (param.key != ServiceParam::kEch) continue;
      cutMandatory(mandatory);
      cut(param.at, ServiceParam::kFixed + param.value.size());
    }
    if (!params.complete() || cuts_.size() > kMaxCuts) return false;
    if (removed() > before) numbers_.push_back({record.dataAt - 2, record.data.size() - (removed() - before)});
    return true;
  }

  size_t removed() const { return cuts_.empty() ? 0 : cuts_.back().before + cuts_.back().length; }

  void cut(size_t at, size_t length) { cuts_.push_back({at, length, removed()}); }

  // Removes the key from the list of those that a client has to know.
  void cutMandatory(const ServiceParam& param) {
    for (size_t i = 0; i + 1 < param.value.size(); i += 2) {
      if (number16(param.value, i) != ServiceParam::kEch) continue;
      if (param.value.size() > 2) {
        numbers_.push_back({param.at + 2, param.value.size() - 2});
        cut(param.at + ServiceParam::kFixed + i, 2);
      } else {
        // The list may not be empty.
        cut(param.at, ServiceParam::kFixed + 2);
      }
      return;
    }
  }

  bool write(std::string* out) {
    std::string changed(reply_);
    auto put = [&](const Number16& number) {
      changed[number.at] = char(number.value >> 8);
      changed[number.at + 1] = char(number.value);
    };
    for (const Number16& number : numbers_) put(number);
    for (size_t at : pointers_) {
      uint16_t target = number16(reply_, at) & 0x3fff;
      size_t shift;
      if (!shiftOf(target, &shift)) return false;
      put({at, size_t(0xc000) | (target - shift)});
    }
    out->clear();
    size_t from = 0;
    for (const Cut& cut : cuts_) {
      out->append(changed, from, cut.at - from);
      from = cut.at + cut.length;
    }
    out->append(changed, from);
    return true;
  }

  // By how much that place moves. False where it is left out.
  bool shiftOf(size_t at, size_t* shift) const {
    auto isAfter = [](size_t place, const Cut& cut) { return place < cut.at; };
    auto next = std::upper_bound(cuts_.begin(), cuts_.end(), at, isAfter);
    *shift = 0;
    if (next == cuts_.begin()) return true;
    const Cut& last = *(next - 1);
    *shift = last.before + last.length;
    return at >= last.at + last.length;
  }

  std::string_view reply_;
  Records records_;
  // In the order of their places, as they are found.
  std::vector<Cut> cuts_;
  std::vector<Number16> numbers_;
  std::vector<size_t> pointers_;
};

}  // namespace

bool ServiceParams::open(Records* records, const Record& record, Name* target) {
  size_t end;
  if (!records->nameIn(record, 2, target, &end)) return false;
  rest_ = record.data.substr(end);
  at_ = record.dataAt + end;
  return true;
}

bool ServiceParams::next(ServiceParam* param) {
  if (rest_.empty()) {
    complete_ = true;
    return false;
  }
  if (rest_.size() < ServiceParam::kFixed) return false;
  param->key = number16(rest_, 0);
  size_t length = number16(rest_, 2);
  if (int(param->key) <= last_ || rest_.size() - ServiceParam::kFixed < length) return false;
  last_ = param->key;
  param->at = at_;
  param->value = rest_.substr(ServiceParam::kFixed, length);
  rest_.remove_prefix(ServiceParam::kFixed + length);
  at_ += ServiceParam::kFixed + length;
  return true;
}

EchResult removeEch(std::string_view reply, std::string* out) { return Rewriter(reply).run(out); }

}  // namespace dns

}  // namespace rn
