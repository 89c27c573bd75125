#include "udp_port.h"

#include <errno.h>
#include <netinet/udp.h>
#include <sched.h>
#include <string.h>
#include <deque>
#include <string>

#include "udp_batch.h"

namespace {
constexpr uint64_t kIdleMs = 90 * 1000;
// How long a flow that nothing accepted is remembered, so that each of its datagrams does not ask the agent anew.
constexpr uint64_t kRefusedMs = 1000;
constexpr size_t kMaxFlows = 16 * 1024;
constexpr size_t kKept = 64;
constexpr size_t kKeptBytes = 256 * 1024;

UdpBatch& batch() {
  static thread_local UdpBatch instance;
  return instance;
}

in6_addr mapped(const Address& address) {
  if (address.family() == AF_INET6) return address.v6.sin6_addr;
  in6_addr out{};
  out.s6_addr[10] = out.s6_addr[11] = 0xff;
  memcpy(&out.s6_addr[12], &address.v4.sin_addr, 4);
  return out;
}
}  // namespace

int UdpBatch::receive(int fd) {
  mmsghdr headers[kMax];
  iovec iov[kMax];
  alignas(cmsghdr) static thread_local char control[kMax][128];
  for (int i = 0; i < kMax; i++) {
    iov[i] = {buffer_.get() + size_t(i) * kDatagram, kDatagram};
    msghdr& h = headers[i].msg_hdr;
    h = {};
    h.msg_name = &messages_[i].from.sa;
    h.msg_namelen = sizeof messages_[i].from.v6;
    h.msg_iov = &iov[i];
    h.msg_iovlen = 1;
    h.msg_control = control[i];
    h.msg_controllen = sizeof control[i];
  }
  int n = recvmmsg(fd, headers, kMax, MSG_DONTWAIT, nullptr);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  for (int i = 0; i < n; i++) {
    Message& m = messages_[i];
    msghdr& h = headers[i].msg_hdr;
    m.data = static_cast<char*>(iov[i].iov_base);
    m.length = headers[i].msg_len;
    m.segment = 0;
    m.from.length = h.msg_namelen;
    m.to = {};
    for (cmsghdr* c = CMSG_FIRSTHDR(&h); c != nullptr; c = CMSG_NXTHDR(&h, c)) {
      if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
        int segment;
        memcpy(&segment, CMSG_DATA(c), sizeof segment);
        if (size_t(segment) < m.length) m.segment = uint16_t(segment);
      } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        m.to.s6_addr[10] = m.to.s6_addr[11] = 0xff;
        memcpy(&m.to.s6_addr[12], &info.ipi_spec_dst, 4);
      } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        in6_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        m.to = info.ipi6_addr;
      }
    }
  }
  return n;
}

bool UdpBatch::worthAnother(int n) {
  if (n < 2) return false;
  if (n < kMax) sched_yield();
  return true;
}

int UdpBatch::sendVector(int fd, iovec* iov, int n, uint16_t segment, const Address* to, const in6_addr* source) {
  alignas(cmsghdr) char control[128];
  msghdr h{};
  h.msg_iov = iov;
  h.msg_iovlen = size_t(n);
  if (to != nullptr) {
    h.msg_name = const_cast<sockaddr*>(&to->sa);
    h.msg_namelen = to->length;
  }
  size_t used = 0;
  auto put = [&](int level, int type, const void* data, size_t size) {
    auto* c = reinterpret_cast<cmsghdr*>(control + used);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), data, size);
    used += CMSG_SPACE(size);
  };
  if (segment != 0) put(SOL_UDP, UDP_SEGMENT, &segment, sizeof segment);
  if (source != nullptr && to != nullptr && to->family() == AF_INET) {
    in_pktinfo info{};
    memcpy(&info.ipi_spec_dst, &source->s6_addr[12], 4);
    put(IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
  } else if (source != nullptr) {
    in6_pktinfo info{};
    info.ipi6_addr = *source;
    put(IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
  }
  if (used > 0) {
    h.msg_control = control;
    h.msg_controllen = used;
  }
  for (;;) {
    if (sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
    if (errno == EINTR) continue;
    return errno == EAGAIN || errno == ENOBUFS ? 0 : errno;
  }
}

int UdpBatch::sendOne(int fd, const char* data, size_t length, uint16_t segment, const Address* to,
                      const in6_addr* source) {
  iovec iov{const_cast<char*>(data), length};
  int error = sendVector(fd, &iov, 1, segment, to, source);
  // A segment that does not fit the device's MTU cannot be sent coalesced; alone it is fragmented (udp(7)).
  if (segment == 0 || (error != EINVAL && error != EMSGSIZE && error != EIO)) return error;
  error = 0;
  for (size_t at = 0; at < length && error == 0; at += segment) {
    iov = {const_cast<char*>(data) + at, std::min(size_t(segment), length - at)};
    error = sendVector(fd, &iov, 1, 0, to, source);
  }
  return error;
}

int UdpBatch::send(int fd, int start, int n, const Address* to, const in6_addr* source) {
  if (n == 1) {
    const Message& m = messages_[start];
    return sendOne(fd, m.data, m.length, m.segment, to, source);
  }
  iovec iov[kMaxSegments];
  for (int i = 0; i < n; i++) iov[i] = {const_cast<char*>(messages_[start + i].data), messages_[start + i].length};
  int error = sendVector(fd, iov, n, uint16_t(messages_[start].length), to, source);
  if (error != EINVAL && error != EMSGSIZE && error != EIO) return error;
  error = 0;
  for (int i = 0; i < n && error == 0; i++) error = sendVector(fd, &iov[i], 1, 0, to, source);
  return error;
}

class UdpFlow : public Handler, public Buriable, public Dial {
 public:
  UdpFlow(UdpPort* port, UdpPort::Listener* listener, const UdpPort::Key& key, const Address& client,
          const in6_addr& asked)
      : port_(port), listener_(listener), key_(key), client_(client), asked_(asked) {
    port_->context_.fds.take(1);
    number_ = port_->context_.nextConnection++;
    dial();
  }

  // Messages [start, start + n) of the batch, from the client.
  void forward(int start, int n) {
    used_ = port_->context_.loop.now();
    size_t bytes = 0;
    for (int i = 0; i < n; i++) bytes += batch()[start + i].length;
    if (state_ == State::refused) return;
    if (lost_) restart();
    if (!settled_) {
      for (int i = 0; i < n; i++) keep(batch()[start + i]);
      if (state_ == State::dialing) return;
    }
    int error = batch().send(child_.get(), start, n, nullptr, nullptr);
    // The error of an earlier datagram (ICMP): this one was not sent.
    if (error == ECONNREFUSED && settled_) {
      restart();
      for (int i = 0; i < n; i++) keep(batch()[start + i]);
      return;
    }
    port_->counters_.in += bytes;
    in_ += bytes;
    if (!settled_) lookForRefusal(error);
  }

  void onDialed(Fd fd) override {
    dialId_ = 0;
    child_ = std::move(fd);
    state_ = State::open;
    int on = 1;
    setsockopt(child_.get(), SOL_UDP, UDP_GRO, &on, sizeof on);
    int size = 4 << 20;
    setsockopt(child_.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(child_.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (!told_) {
      told_ = true;
      port_->counters_.open++;
      port_->counters_.opened++;
      port_->counters_.countSource(client_, child_.get());
      tell(Event::Kind::connectionOpened, "");
    }
    port_->context_.loop.watch(child_.get(), EPOLLIN, this);
    openedAt_ = port_->context_.loop.now();
    int error = 0;
    for (Kept& kept : kept_) {
      if (!kept.counted) {
        kept.counted = true;
        port_->counters_.in += kept.data.size();
        in_ += kept.data.size();
      }
      if (error != ECONNREFUSED) {
        error = UdpBatch::sendOne(child_.get(), kept.data.data(), kept.data.size(), kept.segment, nullptr, nullptr);
      }
    }
    lookForRefusal(error);
  }

  void onDialFailed(int error, std::string_view message) override {
    dialId_ = 0;
    bool tryAgain = error == EMFILE || error == ENFILE;
    refuse(tryAgain ? 0 : kRefusedMs, std::string(message));
  }

  void onEvents(uint32_t events) override {
    if (buried() || !child_.valid()) return;
    UdpBatch& in = batch();
    for (int round = 0; round < 4; round++) {
      int n = in.receive(child_.get());
      if (n < 0) {
        if (errno == ECONNREFUSED && settled_) lost_ = true;
        if (errno == ECONNREFUSED && !settled_) nextAttempt();
        // Errors that wait and that reading does not take: IP_RECVERR was set, which only somebody else can have done.
        else if (errno == EAGAIN && (events & EPOLLERR) && round == 0) restart();
        return;
      }
      if (n == 0) return;
      settle();
      used_ = port_->context_.loop.now();
      touch();
      bool known = !IN6_IS_ADDR_UNSPECIFIED(&asked_);
      for (int i = 0; i < n;) {
        int length = in.run(i, n, [](int) { return true; });
        size_t bytes = 0;
        for (int k = 0; k < length; k++) bytes += in[i + k].length;
        // Before it is sent: who has the answer may look.
        port_->counters_.out += bytes;
        out_ += bytes;
        in.send(listener_->fd.get(), i, length, &client_, known ? &asked_ : nullptr);
        i += length;
      }
      if (!UdpBatch::worthAnother(n)) return;
    }
  }

  // False where the flow is over.
  bool tick(uint64_t now) {
    if (state_ == State::refused) return now < forgetAt_;
    // On loopback a refusal is there as soon as the datagram is sent; farther away it may take a moment.
    if (state_ == State::open && !settled_ && now - openedAt_ > 1000) settle();
    return now - used_ < kIdleMs;
  }

  void end() {
    if (buried()) return;
    if (dialId_ != 0) port_->context_.agents.cancel(dialId_);
    closeChild();
    port_->context_.fds.give(1);
    if (told_) {
      port_->counters_.open--;
      tell(Event::Kind::connectionClosed, "");
    }
    port_->context_.loop.bury(this);
  }

  void touch() { port_->byUse_.splice(port_->byUse_.end(), port_->byUse_, place_); }

  const UdpPort::Key& key() const { return key_; }
  std::list<UdpFlow*>::iterator place_;

 private:
  enum class State { dialing, open, refused };
  struct Kept {
    std::string data;
    uint16_t segment;
    bool counted;
  };

  void dial() {
    state_ = State::dialing;
    // It may be over when this returns.
    dialId_ = port_->dial(this, client_, attempt_);
  }

  void keep(const UdpBatch::Message& message) {
    if (kept_.size() >= kKept || keptBytes_ + message.length > kKeptBytes) return;
    keptBytes_ += message.length;
    kept_.push_back({std::string(message.data, message.length), message.segment, state_ == State::open});
  }

  void settle() {
    settled_ = true;
    kept_.clear();
    kept_.shrink_to_fit();
    keptBytes_ = 0;
  }

  // `error` is what the last send said: a refusal is told once, to the next call on the socket, whichever it is.
  void lookForRefusal(int error) {
    socklen_t length = sizeof error;
    if (error != ECONNREFUSED) getsockopt(child_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error == ECONNREFUSED) nextAttempt();
  }

  void nextAttempt() {
    closeChild();
    attempt_++;
    dial();
  }

  // The server went away. It may come back on another address of the dial rule.
  void restart() {
    closeChild();
    attempt_ = 0;
    settled_ = lost_ = false;
    dial();
  }

  void refuse(uint64_t forMs, std::string reason) {
    port_->counters_.refused++;
    tell(Event::Kind::connectionRefused, std::move(reason));
    settle();
    state_ = State::refused;
    forgetAt_ = port_->context_.loop.now() + forMs;
  }

  void closeChild() {
    if (!child_.valid()) return;
    port_->context_.loop.unwatch(child_.get());
    child_.reset();
  }

  void tell(Event::Kind kind, std::string reason) {
    if (!port_->context_.watchConnections || port_->isDirect()) return;
    Event event{kind};
    event.id = port_->id_;
    event.connection = number_;
    event.in = in_;
    event.out = out_;
    event.text = client_.text();
    event.data = std::move(reason);
    port_->context_.events.emit(std::move(event));
  }

  UdpPort* port_;
  UdpPort::Listener* listener_;
  UdpPort::Key key_;
  Address client_;
  in6_addr asked_;
  uint64_t number_ = 0;
  Fd child_;
  State state_ = State::dialing;
  uint32_t dialId_ = 0;
  uint32_t attempt_ = 0;
  // Something answered, or nothing refused for a while: the address is right.
  bool settled_ = false;
  // … but it refuses now.
  bool lost_ = false;
  bool told_ = false;
  std::deque<Kept> kept_;
  size_t keptBytes_ = 0;
  uint64_t used_ = 0;
  uint64_t openedAt_ = 0;
  uint64_t forgetAt_ = 0;
  uint64_t in_ = 0;
  uint64_t out_ = 0;
};

bool UdpPort::Key::operator==(const Key& o) const { return memcmp(bytes, o.bytes, sizeof bytes) == 0; }

size_t UdpPort::KeyHash::operator()(const Key& key) const {
  return std::hash<std::string_view>()(std::string_view(reinterpret_cast<const char*>(key.bytes), sizeof key.bytes));
}

int UdpPort::stopTaking(Listener* listener) { return sockets::connectToSelf(listener->fd.get()); }

int UdpPort::takeAgain(Listener* listener) {
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  return connect(listener->fd.get(), &nobody, sizeof nobody) == 0 ? 0 : errno;
}

void UdpPort::closeConnections() {
  for (UdpFlow* flow : byUse_) flow->end();
  byUse_.clear();
  flows_.clear();
}

void UdpPort::onReadable(Listener* listener) {
  UdpBatch& in = batch();
  for (int round = 0; round < 4 && !closed_; round++) {
    int n = in.receive(listener->fd.get());
    if (n <= 0) return;
    UdpFlow* flows[UdpBatch::kMax];
    for (int i = 0; i < n; i++) flows[i] = flowFor(listener, in[i].from, in[i].to);
    for (int i = 0; i < n;) {
      int length = in.run(i, n, [&](int k) { return flows[k] == flows[i]; });
      if (flows[i] != nullptr && !flows[i]->buried()) {
        flows[i]->touch();
        flows[i]->forward(i, length);
      }
      i += length;
    }
    if (!UdpBatch::worthAnother(n)) return;
  }
}

UdpFlow* UdpPort::flowFor(Listener* listener, const Address& client, const in6_addr& asked) {
  Key key;
  in6_addr ip = mapped(client);
  uint16_t port = client.port();
  memcpy(key.bytes, &ip, 16);
  memcpy(key.bytes + 16, &port, 2);
  memcpy(key.bytes + 18, &asked, 16);
  auto it = flows_.find(key);
  if (it != flows_.end()) return it->second;
  if (flows_.size() >= kMaxFlows || !context_.fds.hasRoom(1)) {
    if (byUse_.empty()) return nullptr;
    remove(byUse_.front());
  }
  auto* flow = new UdpFlow(this, listener, key, client, asked);
  flows_.emplace(key, flow);
  flow->place_ = byUse_.insert(byUse_.end(), flow);
  wantTicks(true);
  return flow;
}

void UdpPort::remove(UdpFlow* flow) {
  flows_.erase(flow->key());
  byUse_.erase(flow->place_);
  flow->end();
}

void UdpPort::onTick() {
  uint64_t now = context_.loop.now();
  if (now < nextScan_) return;
  nextScan_ = now + 1000;
  for (auto it = byUse_.begin(); it != byUse_.end();) {
    UdpFlow* flow = *it++;
    if (!flow->tick(now)) remove(flow);
  }
  if (flows_.empty()) wantTicks(false);
}
