// What the first bytes of a connection show of the name that the client wants: TLS or HTTP, whichever it speaks.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "policy/peek/client_hello.h"
#include "policy/peek/http_head.h"

namespace rn {

struct Peeked {
  // `other` is anything that is neither, and what is invalid, too long, or has not come in time.
  enum class Kind : uint8_t { tls, http, http2, other };
  Kind kind = Kind::other;
  std::string name{};  // as normalizeName() writes it; empty if there is none
  bool encryptedHello = false;
  // Of `other`: it has begun as TLS or HTTP all the same.
  bool begun = false;
};

class FirstBytes {
 public:
  // Takes the bytes that follow those of earlier calls; with MSG_PEEK that is what recv(2) returned without its first
  // consumed() bytes. Returns whether more bytes are needed.
  bool feed(std::string_view bytes);

  size_t consumed() const { return consumed_; }
  // What is known so far: `other` while more bytes are needed.
  Peeked result() const;

 private:
  size_t consumed_ = 0;
  bool more_ = true;
  std::variant<std::monostate, ClientHello, HttpHead> parser_;
};

}  // namespace rn
