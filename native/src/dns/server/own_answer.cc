#include "dns/server/own_answer.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace rn {

namespace dns {

namespace {

constexpr uint16_t kPTR = 12;
constexpr uint16_t kANY = 255;
constexpr size_t kLeastUdp = 512;
constexpr size_t kEdnsSize = 11;
constexpr uint16_t kQuestionName = 0xc000 | kHeaderSize;
constexpr uint16_t kAuthoritative = 0x0400;

// Replies have an EDNS record where queries have one.
struct Edns {
  bool present = false;
  size_t size = kLeastUdp;
  bool known = true;
};

Edns ednsOf(std::string_view query) {
  Edns edns;
  Records records(query);
  Record record;
  while (records.next(&record)) {
    if (record.type != kOPT) continue;
    edns.present = true;
    edns.size = std::clamp<size_t>(record.recordClass, kLeastUdp, kUdpSize);
    // The version; there is only 0 so far.
    edns.known = (record.ttl >> 16 & 0xff) == 0;
  }
  return edns;
}

// A record of the name that was asked for, whose `size` bytes of data follow.
void appendHead(std::string* out, uint16_t type, size_t size) {
  append16(out, kQuestionName);
  append16(out, type);
  append16(out, kIN);
  // The TTL has 32 bits.
  append16(out, 0);
  append16(out, kOwnTtl);
  append16(out, size);
}

void appendAddress(std::string* out, const AddressNumber& address, uint16_t type) {
  appendHead(out, type, type == kA ? 4 : 16);
  if (type == kAAAA) {
    for (int shift = 56; shift >= 0; shift -= 8) out->push_back(char(address.high >> shift));
  }
  for (int shift = type == kA ? 24 : 56; shift >= 0; shift -= 8) out->push_back(char(address.low >> shift));
}

void appendName(std::string* out, const Labels& name) {
  appendHead(out, kPTR, name.size() + 1);
  out->append(name);
  out->push_back(0);
}

void shuffle(std::vector<AddressNumber>* addresses, Random* random) {
  for (size_t i = addresses->size(); i > 1; i--) std::swap((*addresses)[i - 1], (*addresses)[random->next() % i]);
}

// The records, as many as there is room for.
class Writer {
 public:
  Writer(std::string* out, size_t most) : out_(out), most_(most) {}

  void add(const std::vector<AddressNumber>& addresses, uint16_t type) {
    for (const AddressNumber& address : addresses) {
      size_t before = out_->size();
      appendAddress(out_, address, type);
      if (!keep(before)) return;
    }
  }
  void add(const Labels& name) {
    size_t before = out_->size();
    appendName(out_, name);
    keep(before);
  }
  size_t count() const { return count_; }
  bool isTruncated() const { return truncated_; }

 private:
  bool keep(size_t before) {
    truncated_ = out_->size() > most_;
    if (truncated_) out_->resize(before);
    else count_++;
    return !truncated_;
  }

  std::string* out_;
  size_t most_;
  size_t count_ = 0;
  bool truncated_ = false;
};

}  // namespace

std::string ownAnswer(std::string_view query, const Question& question, Finding found, bool tcp, Random* random) {
  Header header;
  readHeader(query, &header);
  Edns edns = ednsOf(query);
  size_t most = (tcp ? kMaxMessage : edns.size) - (edns.present ? kEdnsSize : 0);
  std::string out(kHeaderSize, '\0');
  out.append(question.spelled);
  Writer writer(&out, most);
  bool isAny = question.type == kANY;
  if (edns.known && question.recordClass == kIN) {
    shuffle(&found.addresses.v4, random);
    shuffle(&found.addresses.v6, random);
    if (question.type == kA || isAny) writer.add(found.addresses.v4, kA);
    if (question.type == kAAAA || isAny) writer.add(found.addresses.v6, kAAAA);
    if (found.kind == Finding::Kind::reverse && (question.type == kPTR || isAny)) writer.add(found.name);
  }
  Rcode rcode = found.kind == Finding::Kind::missing ? Rcode::nxDomain : Rcode::noError;
  if (!edns.known) rcode = Rcode::noError;
  uint32_t kept = header.flags & (Header::kRecursionDesired | Header::kCheckingDisabled);
  uint32_t flags = kept | Header::kResponse | Header::kRecursionAvailable | kAuthoritative | uint32_t(rcode);
  if (writer.isTruncated()) flags |= Header::kTruncated;
  std::string head;
  for (size_t value : {size_t(header.id), size_t(flags), size_t(1), writer.count(), size_t(0), size_t(edns.present)}) {
    append16(&head, value);
  }
  out.replace(0, kHeaderSize, head);
  if (!edns.present) return out;
  out.push_back(0);
  append16(&out, kOPT);
  append16(&out, kUdpSize);
  // BADVERS is 16, whose upper bits are here.
  append16(&out, edns.known ? 0 : 0x0100);
  append16(&out, 0);
  append16(&out, 0);
  return out;
}

}  // namespace dns

}  // namespace rn
