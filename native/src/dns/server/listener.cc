#include "dns/server/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <algorithm>
#include <utility>

#include "dns/message.h"

namespace rn {

namespace dns {

namespace {

constexpr int kBacklog = 128;
// A burst of queries waits in it, also while there is another agent to come.
constexpr int kBuffer = 1 << 20;

bool setOn(int fd, int level, int name) {
  int on = 1;
  return setsockopt(fd, level, name, &on, sizeof on) == 0;
}

}  // namespace

Fd Listener::bindTo(const Address& address, int type) {
  Fd fd(socket(address.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fd;
  // Connections of the server before may still be closing.
  setOn(fd.get(), SOL_SOCKET, SO_REUSEADDR);
  setOn(fd.get(), IPPROTO_IP, IP_FREEBIND);
  if (address.family() == AF_INET6) {
    setOn(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
    setOn(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND);
  }
  if (type == SOCK_DGRAM) setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &kBuffer, sizeof kBuffer);
  if (bind(fd.get(), &address.sa, address.length) != 0) return Fd();
  if (type == SOCK_STREAM && listen(fd.get(), kBacklog) != 0) return Fd();
  return fd;
}

Listener::Listener(Loop& loop, Fd fd, int type, Ask ask)
    : loop_(loop), fd_(std::move(fd)), type_(type), ask_(std::move(ask)), self_(std::make_shared<Listener*>(this)) {}

void Listener::start() { loop_.watch(fd_.get(), EPOLLIN, this); }

void Listener::close() {
  if (isDeleted()) return;
  *self_ = nullptr;
  loop_.unwatch(this);
  fd_.reset();
  for (const auto& [stream, client] : std::exchange(streams_, {})) stream->close();
  loop_.deleteLater(this);
}

void Listener::onEvents(uint32_t) {
  if (isDeleted()) return;
  if (type_ == SOCK_DGRAM) receive();
  else accept();
}

void Listener::receive() {
  char buffer[kMaxQuery + 1];
  for (int i = 0; i < kMaxReads && !isDeleted(); i++) {
    Address client;
    client.length = sizeof client.v6;
    ssize_t n = recvfrom(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT, &client.sa, &client.length);
    // An error of the socket is one of a reply that was refused; it is read by that.
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    progress();
    if (n < 0 || size_t(n) > kMaxQuery || client.port() == 0) continue;
    ask_(std::string(buffer, size_t(n)), client, false, [self = self_, client](const std::string& reply) {
      if (*self == nullptr || reply.empty()) return;
      sendto((*self)->fd_.get(), reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL, &client.sa, client.length);
    });
  }
}

void Listener::accept() {
  for (int i = 0; i < kMaxReads && !isDeleted(); i++) {
    Address client;
    client.length = sizeof client.v6;
    Fd fd(accept4(fd_.get(), &client.sa, &client.length, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) return;
    progress();
    if (streams_.size() >= kMaxStreams) makeRoom(AddressNumber::of(client));
    // In this order: clients that are not served at all are not counted.
    if (streams_.size() >= kMaxStreams || streamsOf_[AddressNumber::of(client)] >= kMaxOfClient) {
      sockets::closeWithReset(std::move(fd));
      continue;
    }
    serve(std::move(fd), client);
  }
}

// Not for a client that would have as many as those that it takes from.
void Listener::makeRoom(const AddressNumber& client) {
  auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  auto most = std::max_element(streamsOf_.begin(), streamsOf_.end(), less);
  auto own = streamsOf_.find(client);
  if (most->second <= (own == streamsOf_.end() ? 0 : own->second) + 1) return;
  DnsStream* longest = nullptr;
  for (const auto& [stream, owner] : streams_) {
    bool candidate = owner == most->first && stream->isIdle();
    if (candidate && (longest == nullptr || stream->deadline() < longest->deadline())) longest = stream;
  }
  if (longest != nullptr) longest->evict();
}

void Listener::serve(Fd fd, const Address& client) {
  setOn(fd.get(), IPPROTO_TCP, TCP_NODELAY);
  auto place = std::make_shared<DnsStream*>(nullptr);
  auto ask = [self = self_, client](std::string query, DnsStream::Reply reply) {
    if (*self != nullptr) (*self)->ask_(std::move(query), client, true, std::move(reply));
  };
  auto end = [self = self_, place, client] {
    if (*self == nullptr) return;
    (*self)->streams_.erase(*place);
    auto it = (*self)->streamsOf_.find(AddressNumber::of(client));
    if (--it->second == 0) (*self)->streamsOf_.erase(it);
  };
  *place = new DnsStream(loop_, std::move(fd), ask, end);
  streams_[*place] = AddressNumber::of(client);
  streamsOf_[AddressNumber::of(client)]++;
}

}  // namespace dns

}  // namespace rn
