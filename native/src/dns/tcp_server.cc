#include "dns/tcp_server.h"

#include <utility>

namespace rn {

namespace {
// In one turn.
constexpr int kMaxReads = 16;
}  // namespace

DnsStream::DnsStream(Loop& loop, Fd fd, Ask ask, std::function<void()> onEnd)
    : loop_(loop),
      fd_(std::move(fd)),
      ask_(std::move(ask)),
      onEnd_(std::move(onEnd)),
      watched_(EPOLLIN),
      self_(std::make_shared<DnsStream*>(this)) {
  extend();
  loop_.watch(fd_.get(), watched_, this);
  loop_.later(this);
}

void DnsStream::close() {
  if (isDeleted()) return;
  *self_ = nullptr;
  loop_.unwatch(this);
  fd_.reset();
  loop_.deleteLater(this);
}

void DnsStream::end() {
  if (isDeleted()) return;
  close();
  onEnd_();
}

void DnsStream::onAgain() {
  if (loop_.now() >= deadline_) end();
  else loop_.later(this);
}

void DnsStream::onEvents(uint32_t events) {
  if (isDeleted()) return;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return end();
  if ((events & EPOLLOUT) != 0) progress();
  if ((events & EPOLLIN) != 0) receive();
  askAll();
}

void DnsStream::receive() {
  for (int i = 0; i < kMaxReads && !receivedAll_; i++) {
    std::string_view message;
    // There may be no room for more.
    if (in_.front(&message)) return;
    switch (in_.receive(fd_.get())) {
      case dns::LengthPrefixedReader::Result::none: return;
      case dns::LengthPrefixedReader::Result::failed: return end();
      case dns::LengthPrefixedReader::Result::end: receivedAll_ = true; break;
      case dns::LengthPrefixedReader::Result::some: break;
    }
    progress();
    if (in_.tooLong()) return end();
    askAll();
    if (isDeleted()) return;
  }
}

void DnsStream::askAll() {
  // A reply within ask_() leaves the rest to the call that is under way.
  if (asking_ || isDeleted()) return;
  asking_ = true;
  std::string_view message;
  while (!isDeleted() && mayAsk() && in_.front(&message)) {
    std::string query(message);
    in_.pop();
    if (in_.tooLong()) return end();
    outstanding_++;
    extend();
    ask_(std::move(query), [self = self_](const std::string& reply) {
      if (*self != nullptr) (*self)->onReply(reply);
    });
  }
  asking_ = false;
  if (!isDeleted()) update();
}

void DnsStream::onReply(const std::string& reply) {
  outstanding_--;
  extend();
  // Its client does not read: what waits for it is bounded, however many answers were under way.
  if (out_.size() > kMaxUnsent) return end();
  if (!reply.empty()) dns::appendLengthPrefixed(&out_, reply);
  askAll();
}

void DnsStream::update() {
  bool waited = !out_.empty();
  if (!dns::sendSome(fd_.get(), &out_)) return end();
  if (waited && out_.empty()) extend();
  if (receivedAll_ && outstanding_ == 0 && out_.empty()) return end();
  uint32_t wanted = (out_.empty() ? 0u : uint32_t(EPOLLOUT)) | (!receivedAll_ && mayAsk() ? uint32_t(EPOLLIN) : 0u);
  if (wanted == watched_) return;
  watched_ = wanted;
  loop_.rewatch(wanted, this);
}

}  // namespace rn
