#include "dns/server/listener.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <algorithm>
#include <memory>
#include <utility>

#include "dns/message.h"

namespace rn {

namespace dns {

namespace {

constexpr int kBacklog = 128;
// A burst of queries waits in it, also while there is another agent to come.
constexpr int kBuffer = 1 << 20;

// Datagrams that are received by one call, and the replies that are known at once, which are sent by another: a call costs more
// than the answer.
struct Batch {
  static constexpr unsigned kCount = 32;

  Batch() {
    for (unsigned i = 0; i < kCount; i++) {
      parts[i] = {buffers[i], sizeof buffers[i]};
      received[i].msg_hdr = {};
      received[i].msg_hdr.msg_name = &clients[i].sa;
      received[i].msg_hdr.msg_iov = &parts[i];
      received[i].msg_hdr.msg_iovlen = 1;
    }
  }

  // How many datagrams there were; as recvmmsg(2).
  int receive(int fd) {
    for (unsigned i = 0; i < kCount; i++) received[i].msg_hdr.msg_namelen = sizeof clients[i].v6;
    int count = recvmmsg(fd, received, kCount, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; i++) clients[i].length = received[i].msg_hdr.msg_namelen;
    return count;
  }

  void reply(std::string message, const Address& client) {
    replies[count] = std::move(message);
    receivers[count++] = client;
  }

  // Replies that do not fit the socket's buffer are lost, and so are those that cannot be sent.
  void send(int fd) {
    mmsghdr messages[kCount] = {};
    iovec bytes[kCount];
    for (unsigned i = 0; i < count; i++) {
      bytes[i] = {replies[i].data(), replies[i].size()};
      messages[i].msg_hdr.msg_name = &receivers[i].sa;
      messages[i].msg_hdr.msg_namelen = receivers[i].length;
      messages[i].msg_hdr.msg_iov = &bytes[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (unsigned sent = 0; sent < count;) {
      int more = sendmmsg(fd, messages + sent, count - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (more < 0 && errno == EAGAIN) break;
      // The first one has failed.
      sent += more > 0 ? unsigned(more) : 1;
    }
    count = 0;
  }

  char buffers[kCount][kMaxQuery + 1];
  Address clients[kCount];
  iovec parts[kCount];
  mmsghdr received[kCount];
  std::string replies[kCount];
  Address receivers[kCount];
  unsigned count = 0;
  // Whose datagrams are being answered.
  const Listener* listener = nullptr;
};

// Listeners of one thread receive one after the other.
Batch& batchOfThread() {
  static thread_local std::unique_ptr<Batch> batch = std::make_unique<Batch>();
  return *batch;
}

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
  Batch& batch = batchOfThread();
  for (int reads = 0; reads < kMaxReads && !isDeleted();) {
    int count = batch.receive(fd_.get());
    // An error of the socket is one of a reply that was refused; it is read by that.
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    progress();
    reads += std::max(count, 1);
    if (count < 0) continue;
    batch.listener = this;
    for (int i = 0; i < count && !isDeleted(); i++) {
      const Address& client = batch.clients[i];
      size_t size = batch.received[i].msg_len;
      if (size > kMaxQuery || client.port() == 0) continue;
      ask_(std::string(batch.buffers[i], size), client, false, [self = self_, client](std::string reply) {
        if (*self == nullptr || reply.empty()) return;
        Batch& now = batchOfThread();
        if (now.listener == *self && now.count < Batch::kCount) return now.reply(std::move(reply), client);
        sendto((*self)->fd_.get(), reply.data(), reply.size(), MSG_DONTWAIT | MSG_NOSIGNAL, &client.sa, client.length);
      });
    }
    batch.listener = nullptr;
    if (!isDeleted()) batch.send(fd_.get());
    batch.count = 0;
    // There are no more now.
    if (unsigned(count) < Batch::kCount) return;
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
