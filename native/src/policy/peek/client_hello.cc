#include "policy/peek/client_hello.h"

#include <algorithm>

#include "policy/peek/host_name.h"

namespace rn {

namespace {

constexpr uint8_t kHandshakeRecord = 22;
constexpr size_t kRecordHeader = 5;
constexpr size_t kMaxRecord = 1 << 14;
constexpr uint8_t kClientHelloMessage = 1;
constexpr size_t kMessageHeader = 4;
constexpr uint16_t kServerName = 0;
constexpr uint16_t kEncryptedClientHello = 0xfe0d;
constexpr uint16_t kEncryptedServerName = 0xffce;
constexpr uint8_t kHostName = 0;

size_t numberAt(std::string_view bytes, size_t at, size_t length) {
  size_t value = 0;
  for (size_t i = 0; i < length; i++) value = value << 8 | uint8_t(bytes[at + i]);
  return value;
}

// Reads vectors with their lengths in front, as TLS has them.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }

  bool number(size_t bytes, size_t* value) {
    if (rest_.size() < bytes) return false;
    *value = numberAt(rest_, 0, bytes);
    rest_.remove_prefix(bytes);
    return true;
  }

  bool skip(size_t bytes) {
    if (rest_.size() < bytes) return false;
    rest_.remove_prefix(bytes);
    return true;
  }

  bool vector(size_t lengthBytes, std::string_view* content) {
    size_t length;
    if (!number(lengthBytes, &length) || rest_.size() < length) return false;
    *content = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return true;
  }

 private:
  std::string_view rest_;
};

}  // namespace

ClientHello::State ClientHello::feed(std::string_view bytes) {
  if (state_ != State::more) return state_;
  std::string_view taken = bytes.substr(0, kMaxBytes - consumed_);
  consumed_ += bytes.size();
  bool valid = readRecords(taken);
  if (valid && !isComplete() && consumed_ < kMaxBytes) return state_;
  state_ = valid && isComplete() && readMessage() ? State::done : State::invalid;
  message_ = {};
  header_ = {};
  return state_;
}

// Adds the content of records to the message, up to its end. Returns false if it cannot be a ClientHello.
bool ClientHello::readRecords(std::string_view bytes) {
  while (!bytes.empty() && !isComplete()) {
    if (remaining_ == 0) {
      size_t count = std::min(kRecordHeader - header_.size(), bytes.size());
      header_.append(bytes.substr(0, count));
      bytes.remove_prefix(count);
      if (uint8_t(header_[0]) != kHandshakeRecord) return false;
      if (header_.size() > 1 && header_[1] != 3) return false;
      if (header_.size() < kRecordHeader) return true;
      remaining_ = numberAt(header_, 3, 2);
      if (remaining_ == 0 || remaining_ > kMaxRecord) return false;
      header_.clear();
      continue;
    }
    size_t count = std::min(remaining_, bytes.size());
    message_.append(bytes.substr(0, count));
    bytes.remove_prefix(count);
    remaining_ -= count;
    if (uint8_t(message_[0]) != kClientHelloMessage) return false;
    if (message_.size() >= kMessageHeader && numberAt(message_, 1, 3) > kMaxBytes) return false;
  }
  return true;
}

bool ClientHello::isComplete() const {
  return message_.size() >= kMessageHeader && message_.size() - kMessageHeader >= numberAt(message_, 1, 3);
}

bool ClientHello::readMessage() {
  Reader in(std::string_view(message_).substr(kMessageHeader, numberAt(message_, 1, 3)));
  size_t version;
  std::string_view session, suites, compression, extensions;
  if (!in.number(2, &version) || version >> 8 != 3 || !in.skip(32)) return false;
  if (!in.vector(1, &session) || session.size() > 32) return false;
  if (!in.vector(2, &suites) || suites.size() < 2 || suites.size() % 2 != 0) return false;
  if (!in.vector(1, &compression) || compression.empty()) return false;
  // A client before TLS 1.2 may have none.
  if (in.empty()) return true;
  return in.vector(2, &extensions) && in.empty() && readExtensions(extensions);
}

bool ClientHello::readExtensions(std::string_view extensions) {
  Reader in(extensions);
  while (!in.empty()) {
    size_t type;
    std::string_view content;
    if (!in.number(2, &type) || !in.vector(2, &content)) return false;
    if (type == kServerName) {
      if (hasName_ || !readServerName(content)) return false;
      hasName_ = true;
    }
    if (type == kEncryptedClientHello || type == kEncryptedServerName) hasEncrypted_ = true;
  }
  return true;
}

bool ClientHello::readServerName(std::string_view content) {
  Reader in(content);
  std::string_view list;
  if (!in.vector(2, &list) || !in.empty() || list.empty()) return false;
  Reader names(list);
  size_t type;
  std::string_view name;
  // RFC 6066 has one type only, and one name of each type.
  return names.number(1, &type) && type == kHostName && names.vector(2, &name) && names.empty() &&
         normalizeName(name, &name_);
}

}  // namespace rn
