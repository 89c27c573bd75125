// The host in the head of an HTTP/1 request (RFC 9112), and the preface of HTTP/2 without TLS (RFC 9113, section 3.4).
//
// Only the first request of a connection is read, and its whole head: a second Host, at its end, counts as well. What
// servers read differently from one another is invalid: lines that end with LF alone, folded lines, blanks before a colon,
// control characters, a Host that contradicts the target, anything before the request line. It is a request all the same.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rn {

class HttpHead {
 public:
  // Most bytes that are taken.
  static constexpr size_t kMaxBytes = 8 * 1024;

  enum class State : uint8_t { more, done, http2, invalid };

  // Takes the bytes that follow those of earlier calls. Bytes behind the head are not looked at.
  State feed(std::string_view bytes);

  State state() const { return state_; }
  // How many bytes were fed.
  size_t consumed() const { return consumed_; }
  // As normalizeName() writes it, without port; empty if there is none (HTTP/1.0), or an address.
  const std::string& host() const { return host_; }
  // Whether it has begun as a request, also where the head is invalid or incomplete.
  bool isRequest() const { return request_ || state_ == State::more; }

 private:
  State readLine(std::string_view line);
  bool readRequestLine(std::string_view line);
  bool readField(std::string_view line);
  State atEnd();

  State state_ = State::more;
  size_t consumed_ = 0;
  bool preceded_ = false;  // by blanks or empty lines, which some servers skip
  bool started_ = false;   // the request line was read
  bool request_ = false;   // … or what there is of it is one of HTTP
  bool preface_ = false;   // … and is that of HTTP/2
  std::string line_;       // while it is incomplete
  bool hasHost_ = false;
  std::string host_;
  bool hasTarget_ = false;  // the target is in absolute form
  std::string target_;      // the host in it
};

}  // namespace rn
