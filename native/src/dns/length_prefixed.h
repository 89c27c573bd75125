// DNS messages over TCP, each behind its length in two bytes (RFC 1035, 4.2.2).
#pragma once
#include <errno.h>
#include <sys/socket.h>
#include <algorithm>
#include <string>
#include <string_view>

#include "dns/message.h"

namespace rn {

namespace dns {

class LengthPrefixedReader {
 public:
  enum class Result { some, none, end, failed };

  explicit LengthPrefixedReader(size_t longest) : longest_(longest) {}

  // Reads what the socket has now, no more than there is room for.
  Result receive(int fd) {
    size_t room = longest_ + 2 - std::min(bytes_.size(), longest_ + 2);
    char buffer[16 * 1024];
    if (room == 0) return Result::some;
    ssize_t n = recv(fd, buffer, std::min(room, sizeof buffer), MSG_DONTWAIT);
    if (n > 0) bytes_.append(buffer, size_t(n));
    if (n >= 0) return n > 0 ? Result::some : Result::end;
    return errno == EAGAIN || errno == EINTR ? Result::none : Result::failed;
  }
  // The first message that is complete; false if there is none. It is valid until pop().
  bool front(std::string_view* message) const {
    if (bytes_.size() < 2 || bytes_.size() - 2 < length()) return false;
    *message = std::string_view(bytes_).substr(2, length());
    return true;
  }
  void pop() { bytes_.erase(0, 2 + length()); }
  // Whether the next message is longer than accepted.
  bool tooLong() const { return bytes_.size() >= 2 && length() > longest_; }

 private:
  size_t length() const { return size_t(uint8_t(bytes_[0])) << 8 | uint8_t(bytes_[1]); }

  size_t longest_;
  std::string bytes_;
};

inline void appendLengthPrefixed(std::string* out, std::string_view message) {
  out->push_back(char(message.size() >> 8));
  out->push_back(char(message.size()));
  out->append(message);
}

// Sends what the socket takes now, and removes it. False where the connection has failed.
inline bool sendSome(int fd, std::string* out) {
  if (out->empty()) return true;
  ssize_t n = send(fd, out->data(), out->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0) return errno == EAGAIN || errno == EINTR;
  out->erase(0, size_t(n));
  return true;
}

}  // namespace dns

}  // namespace rn
