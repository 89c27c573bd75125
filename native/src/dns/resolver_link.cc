#include "dns/resolver_link.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "netlink/netns.h"

namespace rn {

namespace dns {

namespace {
// Datagrams or pieces of a stream in one turn.
constexpr int kMaxReads = 64;
}  // namespace

uint16_t Random::next() {
  if (left_ == 0) {
    // A read of that size is never partial (getrandom(2)).
    while (getrandom(numbers_, sizeof numbers_, 0) < 0 && errno == EINTR) continue;
    left_ = kCount;
  }
  return numbers_[--left_];
}

bool ResolverLink::open(int type, uint32_t events) {
  const Address& to = resolver_->address;
  auto make = [&] {
    fd_.reset(socket(to.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    return fd_.valid() ? 0 : errno;
  };
  errno = use_.netns < 0 ? make() : netns::in(use_.netns, make);
  if (!fd_.valid()) return false;
  if (connect(fd_.get(), &to.sa, to.length) != 0 && errno != EINPROGRESS) return false;
  usedAt_ = use_.loop.now();
  return use_.loop.watch(fd_.get(), events, this);
}

bool ResolverLink::send(uint64_t number, const std::string& query) {
  uint16_t id;
  do {
    id = use_.random.next();
  } while (numbers_.count(id) != 0);
  std::string sent = query;
  setId(&sent, id);
  usedAt_ = use_.loop.now();
  if (!fd_.valid() || !transmit(sent)) return false;
  numbers_[id] = number;
  return true;
}

void ResolverLink::forget(uint64_t number) {
  for (auto it = numbers_.begin(); it != numbers_.end();) {
    if (it->second == number) it = numbers_.erase(it);
    else ++it;
  }
}

void ResolverLink::take(std::string_view reply) {
  Header header;
  if (!readHeader(reply, &header) || !header.isResponse()) return;
  auto it = numbers_.find(header.id);
  if (it == numbers_.end()) return;
  uint64_t number = it->second;
  // Until the owner has accepted it: it may be forged.
  if (!use_.owner.onReply(this, number, reply)) return;
  proven_ = true;
  usedAt_ = use_.loop.now();
}

void ResolverLink::close() {
  if (fd_.valid()) {
    use_.loop.unwatch(this);
    fd_.reset();
  }
  numbers_.clear();
  use_.loop.deleteLater(this);
}

void ResolverLink::fail() {
  if (isDeleted()) return;
  Numbers numbers;
  for (const auto& [id, number] : numbers_) numbers.push_back(number);
  close();
  use_.owner.onLinkFailed(this, numbers);
}

UdpLink* UdpLink::make(const Use& use, std::shared_ptr<Resolver> resolver) {
  std::unique_ptr<UdpLink> link(new UdpLink(use, std::move(resolver)));
  return link->open(SOCK_DGRAM, EPOLLIN) ? link.release() : nullptr;
}

bool UdpLink::transmit(const std::string& query) {
  // The first failure may be a refusal of an earlier query; this one is reported by its own.
  for (int attempt = 0; attempt < 2; attempt++) {
    // A full buffer loses it, as usual with UDP.
    if (::send(fd_.get(), query.data(), query.size(), MSG_DONTWAIT) >= 0 || errno == EAGAIN || errno == ENOBUFS) {
      return true;
    }
  }
  return false;
}

void UdpLink::onEvents(uint32_t) {
  static thread_local std::unique_ptr<char[]> buffer{new char[kMaxMessage]};
  for (int i = 0; i < kMaxReads && !isDeleted(); i++) {
    ssize_t n = recv(fd_.get(), buffer.get(), kMaxMessage, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    progress();
    if (n < 0) return fail();
    take(std::string_view(buffer.get(), size_t(n)));
  }
}

StreamLink* StreamLink::make(const Use& use, std::shared_ptr<Resolver> resolver) {
  std::unique_ptr<StreamLink> link(new StreamLink(use, std::move(resolver)));
  if (!link->open(SOCK_STREAM, EPOLLIN | EPOLLOUT)) return nullptr;
  int on = 1;
  setsockopt(link->fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return link.release();
}

bool StreamLink::transmit(const std::string& query) {
  appendLengthPrefixed(&out_, query);
  if (connected_) flush();
  // A failure is reported by the next event.
  return true;
}

void StreamLink::flush() {
  sendSome(fd_.get(), &out_);
  if (watchesOut_ == !out_.empty()) return;
  watchesOut_ = !out_.empty();
  use_.loop.rewatch(watchesOut_ ? EPOLLIN | EPOLLOUT : EPOLLIN, this);
}

void StreamLink::onEvents(uint32_t events) {
  if (isDeleted()) return;
  if ((events & EPOLLERR) != 0) return fail();
  if ((events & EPOLLOUT) != 0) {
    connected_ = true;
    progress();
    flush();
  }
  for (int i = 0; i < kMaxReads && connected_ && !isDeleted(); i++) {
    LengthPrefixedReader::Result result = in_.receive(fd_.get());
    if (result == LengthPrefixedReader::Result::none) return;
    progress();
    if (result != LengthPrefixedReader::Result::some) return fail();
    std::string_view message;
    while (!isDeleted() && in_.front(&message)) {
      // Its owner may end this link.
      std::string reply(message);
      in_.pop();
      take(reply);
    }
  }
}

}  // namespace dns

}  // namespace rn
