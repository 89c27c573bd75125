// DNS messages (RFC 1035, RFC 3596, RFC 6891), read within fixed limits: the peer may send anything.
//
// Theory of operation. A message is read where it lies, by a cursor that never leaves it. The records of a message come
// one after the other; names are decompressed only where they are asked for. A compression pointer has to lead to
// before the piece of the name that it ends, so no name is endless. But many records may lead to the same long name:
// each label and each pointer that is read counts against a limit for the whole message (kMaxSteps), and so do records
// (kMaxRecords). A message beyond these limits, of which real ones stay far away, is malformed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rn {

namespace dns {

constexpr size_t kHeaderSize = 12;
// What fits behind the length of a message over TCP.
constexpr size_t kMaxMessage = 65535;
// Of a query; real ones are a tenth of it.
constexpr size_t kMaxQuery = 4096;
// What answers over UDP may have without being fragmented (dnsflagday.net/2020).
constexpr uint16_t kUdpSize = 1232;
constexpr uint32_t kMaxRecords = 768;
constexpr uint32_t kMaxSteps = 4096;
constexpr uint16_t kPort = 53;

// Types of records.
constexpr uint16_t kA = 1;
constexpr uint16_t kNS = 2;
constexpr uint16_t kCNAME = 5;
constexpr uint16_t kSOA = 6;
constexpr uint16_t kAAAA = 28;
constexpr uint16_t kOPT = 41;
constexpr uint16_t kSVCB = 64;
constexpr uint16_t kHTTPS = 65;
constexpr uint16_t kIXFR = 251;
constexpr uint16_t kAXFR = 252;
// Those of queries for more than the records of a name: zone transfers, ANY (RFC 6895, section 3.1).
constexpr bool isMetatype(uint16_t type) { return type >= 128 && type <= 255; }
// The class of the Internet.
constexpr uint16_t kIN = 1;

enum class Rcode : uint8_t { noError = 0, formErr = 1, servFail = 2, nxDomain = 3, notImp = 4, refused = 5 };

// Why a query fails, for those who can read it (RFC 8914, extended DNS errors).
enum class Reason : int { none = -1, notReady = 14, blocked = 15, noReachableAuthority = 22, networkError = 23 };

struct Header {
  static constexpr uint16_t kResponse = 0x8000;
  static constexpr uint16_t kOpcode = 0x7800;
  static constexpr uint16_t kTruncated = 0x0200;
  static constexpr uint16_t kRecursionDesired = 0x0100;
  static constexpr uint16_t kRecursionAvailable = 0x0080;
  static constexpr uint16_t kCheckingDisabled = 0x0010;

  uint16_t id = 0;
  uint16_t flags = 0;
  uint16_t questions = 0;
  uint16_t answers = 0;
  uint16_t authorities = 0;
  uint16_t additionals = 0;

  bool isResponse() const { return (flags & kResponse) != 0; }
  bool isTruncated() const { return (flags & kTruncated) != 0; }
  // 0 is QUERY.
  unsigned opcode() const { return (flags & kOpcode) >> 11; }
  Rcode rcode() const { return Rcode(flags & 0xf); }
};

// A domain name without compression, in lower case: labels with their lengths, the root's last. Equal names have equal
// bytes.
struct Name {
  static constexpr size_t kMaxLength = 255;
  uint8_t length = 0;
  char bytes[kMaxLength];

  std::string_view wire() const { return {bytes, length}; }
  bool operator==(const Name& other) const { return wire() == other.wire(); }
  bool operator!=(const Name& other) const { return wire() != other.wire(); }
  // Labels with dots between them, and none at the end; "." for the root. Bytes other than letters, digits, hyphens and
  // underscores are escaped (\046; RFC 1035, 5.1), so a dot is never part of a label, and the text is printable.
  std::string text() const;
};

// Reads a message from `at` on. After a failure nothing more can be read.
class Cursor {
 public:
  explicit Cursor(std::string_view message, size_t at = kHeaderSize) : message_(message), at_(at) {}

  size_t at() const { return at_; }
  void moveTo(size_t at) { at_ = at; }
  bool number16(uint16_t* value);
  bool bytes(size_t count, std::string_view* value);
  // `name` may be null, to skip it. `pointerAt` gets the place of the compression pointer that the name ends with here,
  // 0 if there is none; it may be null as well.
  bool name(Name* name, size_t* pointerAt = nullptr);

 private:
  bool follow(size_t pointer, size_t limit, Name* name);
  bool fail() {
    at_ = message_.size() + 1;
    return false;
  }
  bool step() { return steps_++ < kMaxSteps; }

  std::string_view message_;
  size_t at_;
  uint32_t steps_ = 0;
};

struct Question {
  Name name;
  uint16_t type = 0;
  uint16_t recordClass = 0;
  // All of it as it is spelled in the message: clients may check that the case of letters comes back as they sent it.
  std::string_view spelled;
};

struct Record {
  enum class Section : uint8_t { answer, authority, additional };
  Section section = Section::answer;
  uint16_t type = 0;
  uint16_t recordClass = 0;
  // In seconds.
  uint32_t ttl = 0;
  // Where it begins in the message, with the owner's name, and where its data does.
  size_t at = 0;
  size_t dataAt = 0;
  std::string_view data;
  // As of Cursor::name(), of the owner's name.
  size_t pointerAt = 0;
};

// The records of a message that has exactly one question.
class Records {
 public:
  explicit Records(std::string_view message);
  // False at the end, or where the message is malformed from here on.
  bool next(Record* record);
  // Whether all records were read, as many as the header announces.
  bool complete() const { return complete_; }

  // These fail where the message is malformed, or its limit is reached.
  bool owner(const Record& record, Name* name) { return nameAt(record.at, name); }
  // A name in a record's data, `offset` bytes behind its beginning. `end` gets the offset behind it.
  bool nameIn(const Record& record, size_t offset, Name* name, size_t* end, size_t* pointerAt = nullptr);

 private:
  bool nameAt(size_t at, Name* name);
  Record::Section section() const;

  std::string_view message_;
  Cursor cursor_;
  Header header_;
  uint32_t read_ = 0;
  uint32_t count_ = 0;
  bool malformed_ = false;
  bool complete_ = false;
};

// False where the message is shorter than a header.
bool readHeader(std::string_view message, Header* out);
// False where there is not exactly one question, or it is malformed.
bool readQuestion(std::string_view message, Question* out);
// Sets the id of a message that is longer than a header.
void setId(std::string* message, uint16_t id);
// Appends the lower 16 bits.
void append16(std::string* out, size_t value);

// What is wrong with a query that is to be forwarded to a resolver; noError for nothing. It has to be a question
// (opcode 0) with additional records at most, and complete; transfers of zones are not implemented. With noError *question
// is what it asks.
Rcode checkQuery(std::string_view query, Question* question);
inline Rcode checkQuery(std::string_view query) {
  Question question;
  return checkQuery(query, &question);
}

// An answer without records: id, question and flags are the query's, and where it can be read an EDNS record with the
// reason. "" where `query` has no header or is an answer itself: there is nobody who waits for an answer then.
std::string errorReply(std::string_view query, Rcode rcode, Reason reason = Reason::none);

}  // namespace dns

}  // namespace rn
