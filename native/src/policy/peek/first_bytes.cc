#include "policy/peek/first_bytes.h"

namespace rn {

bool FirstBytes::feed(std::string_view bytes) {
  if (bytes.empty() || !more_) return more_;
  if (consumed_ == 0) {
    constexpr char kHandshakeRecord = 22;
    if (bytes[0] == kHandshakeRecord) {
      parser_ = ClientHello();
    } else {
      parser_ = HttpHead();
    }
  }
  consumed_ += bytes.size();
  if (auto* hello = std::get_if<ClientHello>(&parser_)) more_ = hello->feed(bytes) == ClientHello::State::more;
  if (auto* head = std::get_if<HttpHead>(&parser_)) more_ = head->feed(bytes) == HttpHead::State::more;
  return more_;
}

Peeked FirstBytes::result() const {
  if (const auto* hello = std::get_if<ClientHello>(&parser_)) {
    if (hello->state() != ClientHello::State::done) return {Peeked::Kind::other, {}, false, true};
    return {Peeked::Kind::tls, hello->name(), hello->hasEncrypted()};
  }
  const auto* head = std::get_if<HttpHead>(&parser_);
  if (head == nullptr) return {};
  if (head->state() == HttpHead::State::http2) return {Peeked::Kind::http2};
  if (head->state() != HttpHead::State::done) return {Peeked::Kind::other, {}, false, head->isRequest()};
  return {Peeked::Kind::http, head->host()};
}

}  // namespace rn
