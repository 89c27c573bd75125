#include "dns/message.h"

namespace rn {

namespace dns {

namespace {

constexpr uint8_t kPointer = 0xc0;
constexpr size_t kQuestionFixed = 4;     // type and class
constexpr size_t kRecordFixed = 10;      // type, class, time to live, length of the data
constexpr uint16_t kExtendedError = 15;  // RFC 8914

uint8_t byteAt(std::string_view message, size_t at) { return uint8_t(message[at]); }

uint16_t number16At(std::string_view message, size_t at) {
  return uint16_t(byteAt(message, at) << 8 | byteAt(message, at + 1));
}

char lower(char c) { return char(c | (uint8_t(c - 'A') < 26) << 5); }

// Appends a label with its length; there is always room for the root's.
bool appendLabel(std::string_view label, Name* name) {
  if (name->length + label.size() + 1 > Name::kMaxLength) return false;
  char* to = name->bytes + name->length;
  *to++ = label.front();
  for (const char *c = label.data() + 1, *end = label.data() + label.size(); c != end; c++) *to++ = lower(*c);
  name->length = uint8_t(name->length + label.size());
  return true;
}

void appendRoot(Name* name) { name->bytes[name->length++] = 0; }

bool hasEdns(std::string_view query) {
  Records records(query);
  Record record;
  while (records.next(&record)) {
    if (record.type == kOPT) return true;
  }
  return false;
}

void appendEdns(std::string* out, Reason reason) {
  out->push_back(0);
  append16(out, kOPT);
  append16(out, kUdpSize);
  append16(out, 0);
  append16(out, 0);
  append16(out, reason == Reason::none ? 0 : 6);
  if (reason == Reason::none) return;
  append16(out, kExtendedError);
  append16(out, 2);
  append16(out, uint32_t(reason));
}

}  // namespace

std::string Name::text() const {
  std::string out;
  for (size_t at = 0; at < length && bytes[at] != 0;) {
    size_t end = at + 1 + uint8_t(bytes[at]);
    if (!out.empty()) out.push_back('.');
    for (at++; at < end; at++) {
      auto c = uint8_t(bytes[at]);
      if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
        out.push_back(char(c));
        continue;
      }
      out.push_back('\\');
      for (int unit : {100, 10, 1}) out.push_back(char('0' + c / unit % 10));
    }
  }
  return out.empty() ? "." : out;
}

bool Cursor::number16(uint16_t* value) {
  std::string_view two;
  if (!bytes(2, &two)) return false;
  *value = number16At(two, 0);
  return true;
}

bool Cursor::bytes(size_t count, std::string_view* value) {
  if (at_ > message_.size() || message_.size() - at_ < count) return fail();
  *value = message_.substr(at_, count);
  at_ += count;
  return true;
}

bool Cursor::name(Name* name, size_t* pointerAt) {
  if (pointerAt != nullptr) *pointerAt = 0;
  if (name != nullptr) name->length = 0;
  size_t start = at_;
  size_t length = 1;
  while (at_ < message_.size() && step()) {
    uint8_t first = byteAt(message_, at_);
    if (first == 0) {
      at_++;
      if (name != nullptr) appendRoot(name);
      return true;
    }
    if ((first & kPointer) == kPointer) {
      size_t pointer = at_;
      if (message_.size() - at_ < 2) return fail();
      at_ += 2;
      if (pointerAt != nullptr) *pointerAt = pointer;
      return name == nullptr || follow(pointer, start, name) || fail();
    }
    length += first + size_t(1);
    if ((first & kPointer) != 0 || length > Name::kMaxLength || message_.size() - at_ <= first) return fail();
    if (name != nullptr && !appendLabel(message_.substr(at_, first + size_t(1)), name)) return fail();
    at_ += first + size_t(1);
  }
  return fail();
}

// The rest of a name, from a pointer to before `limit` on.
bool Cursor::follow(size_t pointer, size_t limit, Name* name) {
  for (;;) {
    size_t at = number16At(message_, pointer) & 0x3fff;
    if (at < kHeaderSize || at >= limit) return false;
    limit = at;
    for (;;) {
      if (at >= message_.size() || !step()) return false;
      uint8_t first = byteAt(message_, at);
      if (first == 0) {
        appendRoot(name);
        return true;
      }
      if ((first & kPointer) == kPointer) break;
      if ((first & kPointer) != 0 || message_.size() - at <= first) return false;
      if (!appendLabel(message_.substr(at, first + size_t(1)), name)) return false;
      at += first + size_t(1);
    }
    if (message_.size() - at < 2) return false;
    pointer = at;
  }
}

Records::Records(std::string_view message) : message_(message), cursor_(message) {
  Question question;
  malformed_ = !readQuestion(message, &question) || !readHeader(message, &header_);
  if (malformed_) return;
  cursor_.moveTo(kHeaderSize + question.spelled.size());
  count_ = uint32_t(header_.answers) + header_.authorities + header_.additionals;
  malformed_ = count_ > kMaxRecords;
}

Record::Section Records::section() const {
  if (read_ < header_.answers) return Record::Section::answer;
  return read_ < uint32_t(header_.answers) + header_.authorities ? Record::Section::authority
                                                                 : Record::Section::additional;
}

bool Records::next(Record* record) {
  if (malformed_) return false;
  if (read_ == count_) {
    complete_ = true;
    return false;
  }
  std::string_view fixed;
  record->section = section();
  record->at = cursor_.at();
  malformed_ = !cursor_.name(nullptr, &record->pointerAt) || !cursor_.bytes(kRecordFixed, &fixed) ||
               !cursor_.bytes(number16At(fixed, 8), &record->data);
  if (malformed_) return false;
  record->type = number16At(fixed, 0);
  record->recordClass = number16At(fixed, 2);
  record->ttl = uint32_t(number16At(fixed, 4)) << 16 | number16At(fixed, 6);
  // Such a number counts as 0 (RFC 2181, 8).
  if ((record->ttl >> 31) != 0) record->ttl = 0;
  record->dataAt = cursor_.at() - record->data.size();
  read_++;
  return true;
}

bool Records::nameAt(size_t at, Name* name) {
  size_t back = cursor_.at();
  cursor_.moveTo(at);
  bool read = cursor_.name(name);
  cursor_.moveTo(back);
  if (!read) malformed_ = true;
  return read;
}

bool Records::nameIn(const Record& record, size_t offset, Name* name, size_t* end, size_t* pointerAt) {
  size_t back = cursor_.at();
  cursor_.moveTo(record.dataAt + offset);
  bool read = offset < record.data.size() && cursor_.name(name, pointerAt);
  *end = cursor_.at() - record.dataAt;
  cursor_.moveTo(back);
  if (!read || *end > record.data.size()) {
    malformed_ = true;
    return false;
  }
  return true;
}

bool readHeader(std::string_view message, Header* out) {
  Cursor cursor(message, 0);
  return cursor.number16(&out->id) && cursor.number16(&out->flags) && cursor.number16(&out->questions) &&
         cursor.number16(&out->answers) && cursor.number16(&out->authorities) && cursor.number16(&out->additionals);
}

bool readQuestion(std::string_view message, Question* out) {
  Header header;
  if (!readHeader(message, &header) || header.questions != 1) return false;
  Cursor cursor(message);
  if (!cursor.name(&out->name) || !cursor.number16(&out->type) || !cursor.number16(&out->recordClass)) return false;
  out->spelled = message.substr(kHeaderSize, cursor.at() - kHeaderSize);
  // There is nothing before it that a pointer could lead to.
  return out->spelled.size() == out->name.length + kQuestionFixed;
}

void setId(std::string* message, uint16_t id) {
  (*message)[0] = char(id >> 8);
  (*message)[1] = char(id);
}

void append16(std::string* out, size_t value) {
  out->push_back(char(value >> 8));
  out->push_back(char(value));
}

Rcode checkQuery(std::string_view query, Question* question) {
  Header header;
  if (!readHeader(query, &header) || header.isResponse() || query.size() > kMaxQuery) return Rcode::formErr;
  if (header.opcode() != 0) return Rcode::notImp;
  if (!readQuestion(query, question) || header.answers != 0) return Rcode::formErr;
  if (question->type == kAXFR || question->type == kIXFR) return Rcode::notImp;
  if (header.authorities != 0) return Rcode::formErr;
  Records records(query);
  Record record;
  while (records.next(&record)) continue;
  return records.complete() ? Rcode::noError : Rcode::formErr;
}

std::string errorReply(std::string_view query, Rcode rcode, Reason reason) {
  Header header;
  if (!readHeader(query, &header) || header.isResponse()) return "";
  Question question;
  bool asked = readQuestion(query, &question);
  bool edns = asked && hasEdns(query);
  uint32_t kept = Header::kOpcode | Header::kRecursionDesired | Header::kCheckingDisabled;
  std::string out;
  append16(&out, header.id);
  append16(&out, (header.flags & kept) | Header::kResponse | Header::kRecursionAvailable | uint32_t(rcode));
  append16(&out, asked ? 1 : 0);
  append16(&out, 0);
  append16(&out, 0);
  append16(&out, edns ? 1 : 0);
  if (asked) out.append(question.spelled);
  if (edns) appendEdns(&out, reason);
  return out;
}

}  // namespace dns

}  // namespace rn
