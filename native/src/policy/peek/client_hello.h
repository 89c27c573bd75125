// The server name in a TLS ClientHello, which a client sends first and in the clear (RFC 8446, section 4.1.2; RFC 6066,
// section 3).
//
// The message may be spread over several records, and each record over several segments: a key share of a post-quantum
// algorithm alone is larger than one. The bytes of the message are collected until it is complete, and then read once.
// What a server could understand differently than this parser is invalid: two names, two extensions of one type, lengths
// that do not add up, records of other types in between.
//
// With Encrypted ClientHello (RFC 9849) the name is that of the outer message, which the provider of the server has chosen.
// Clients also send the extension with random content where they have no key (GREASE), so its presence tells little.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rn {

class ClientHello {
 public:
  // Most bytes that are taken, headers of records included.
  static constexpr size_t kMaxBytes = 16 * 1024;

  enum class State : uint8_t { more, done, invalid };

  // Takes the bytes that follow those of earlier calls. Bytes behind the message are not looked at.
  State feed(std::string_view bytes);

  State state() const { return state_; }
  // How many bytes were fed.
  size_t consumed() const { return consumed_; }
  // As normalizeName() writes it; empty if the client sent none.
  const std::string& name() const { return name_; }
  // Whether there is an extension for Encrypted ClientHello, or for the drafts before it.
  bool hasEncrypted() const { return hasEncrypted_; }

 private:
  bool readRecords(std::string_view bytes);
  bool isComplete() const;
  bool readMessage();
  bool readExtensions(std::string_view extensions);
  bool readServerName(std::string_view content);

  State state_ = State::more;
  size_t consumed_ = 0;
  std::string header_;    // of the current record, while it is incomplete
  size_t remaining_ = 0;  // of the current record
  std::string message_;
  std::string name_;
  bool hasName_ = false;
  bool hasEncrypted_ = false;
};

}  // namespace rn
