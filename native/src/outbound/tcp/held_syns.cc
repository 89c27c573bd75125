#include "outbound/tcp/held_syns.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <algorithm>
#include <utility>

namespace rn {

namespace {

constexpr uint64_t kCheckMs = 500;
// Until the client's kernel sends its first SYN again (RFC 6298, 2.1).
constexpr uint64_t kFirstRetryMs = 1000;
// How long a client's kernel may be late beyond that.
constexpr uint64_t kGraceMs = 2000;

// Sockets of the host.
class HostSockets : public Sockets {
 public:
  explicit HostSockets(const Context& context) : context_(context) {}

  Fd make(int type, const Address& to) override {
    Fd fd(socket(to.family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return fd;
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets::keepUrgentInLine(fd.get());
    // The program's own probes end at the gateway.
    sockets::keepAlive(fd.get(), kKeepAliveSeconds);
    if (to.isLoopback()) sockets::setCongestion(fd.get(), context_.congestion);
    return fd;
  }
  int connect(int fd, const Address& to) override { return ::connect(fd, &to.sa, to.length) == 0 ? 0 : errno; }
  void discard(Fd) override {}
  ReturnPaths::Result leadBack(int, const Address&, const Outgoing&) override { return ReturnPaths::Result::made; }

 private:
  // Less often than towards clients of published ports: connections to other networks cost their devices power.
  static constexpr int kKeepAliveSeconds = 60;
  const Context& context_;
};

}  // namespace

class HeldSyn : public Handler, public DeferredDelete {
 public:
  HeldSyn(HeldSyns* all, const Packet& syn, const Destination& destination)
      : all_(all),
        destination_(destination),
        ends_(syn.source, syn.destination),
        connect_({SOCK_STREAM, destination.address.port()},
                 std::make_shared<const std::vector<Address>>(1, destination.address), 0),
        seenAt_(all->deps_.context.loop.now()) {
    keep(syn);
  }

  const FourTuple& ends() const { return ends_; }
  const Packet& syn() const { return syn_; }
  const Destination& destination() const { return destination_; }

  // It may be over when this returns.
  void begin() {
    if (destination_.kind == Destination::Kind::dns) {
      admit();
      return;
    }
    proceed(connect_.start(*all_->sockets_));
  }

  void onEvents(uint32_t) override {
    if (isDeleted()) return;
    all_->deps_.context.loop.unwatch(this);
    proceed(connect_.resume(*all_->sockets_));
  }

  // It has come again; or another one, where the client has given up and begins anew from the same port.
  void again(const Packet& syn) {
    keep(syn);
    seenAt_ = all_->deps_.context.loop.now();
    times_++;
    if (admitted_) all_->deps_.out.inject(syn_);
  }

  bool isAbandoned(uint64_t now) const {
    uint64_t wait = kFirstRetryMs << std::min(times_ - 1, 6u);
    return now > seenAt_ + wait + std::min(wait, kGraceMs);
  }

  bool isAdmitted() const { return admitted_; }
  Fd takeHost() { return std::move(connect_.fd); }

  // Ends the attempt, and closes the host's socket.
  void end() {
    all_->deps_.context.loop.unwatch(this);
    if (admitted_ && connect_.fd.valid()) sockets::resetAtClose(connect_.fd);
    connect_.fd.reset();
    all_->deps_.context.loop.deleteLater(this);
  }

 private:
  void proceed(TcpConnect::State state) {
    if (state == TcpConnect::State::pending) {
      if (all_->deps_.context.loop.watch(connect_.fd.get(), EPOLLOUT, this)) return;
      all_->remove(this);
      end();
      return;
    }
    if (state == TcpConnect::State::connected) {
      admit();
      return;
    }
    all_->refuse(syn_, connect_.error());
    all_->remove(this);
    end();
  }

  void keep(const Packet& syn) {
    bytes_ = syn.ip;
    syn_ = syn;
    syn_.ip = bytes_;
    syn_.transport = syn_.ip.substr(syn.ip.size() - syn.transport.size());
  }

  void admit() {
    admitted_ = true;
    all_->deps_.out.inject(syn_);
  }

  HeldSyns* all_;
  std::string bytes_;
  // Of those bytes.
  Packet syn_;
  Destination destination_;
  FourTuple ends_;
  TcpConnect connect_;
  bool admitted_ = false;
  uint64_t seenAt_;
  // How often the SYN has come.
  unsigned times_ = 1;
};

HeldSyns::HeldSyns(Deps deps) : deps_(deps), sockets_(std::make_unique<HostSockets>(deps.context)) {}
HeldSyns::~HeldSyns() = default;

void HeldSyns::onSyn(const Packet& syn) {
  // With data (TCP Fast Open): the client sends it again without.
  if (syn.ip.size() > kMostOfSyn) return;
  auto it = attempts_.find(FourTuple(syn.source, syn.destination));
  if (it != attempts_.end()) {
    it->second->again(syn);
    return;
  }
  Destination destination = deps_.egress.find(syn.source, syn.destination, IPPROTO_TCP);
  if (destination.kind == Destination::Kind::none) {
    refuse(syn, destination.error);
    return;
  }
  if (!hasRoomFor(syn.source) || !deps_.context.fds.makeRoom(&deps_.holder, kDescriptors)) return;
  deps_.context.fds.acquire(&deps_.holder, kDescriptors);
  if (attempts_.empty()) deps_.context.loop.wantTicks(true);
  auto* held = new HeldSyn(this, syn, destination);
  attempts_.emplace(held->ends(), held);
  ofClients_[std::string(syn.source.ipBytes())]++;
  held->begin();
}

bool HeldSyns::hasRoomFor(const Address& client) const {
  if (attempts_.size() >= kMost) return false;
  auto it = ofClients_.find(std::string(client.ipBytes()));
  return it == ofClients_.end() || it->second < kMostOfOne;
}

void HeldSyns::refuse(const Packet& syn, int error) {
  if (sockets::isShortage(error)) return;
  if (error == ECONNREFUSED || error == ECONNRESET) {
    deps_.out.reset(syn);
  } else {
    deps_.out.unreachable(syn.ip, error);
  }
}

// Leaves the object to its caller.
void HeldSyns::remove(HeldSyn* held) {
  attempts_.erase(held->ends());
  auto it = ofClients_.find(std::string(held->syn().source.ipBytes()));
  if (it != ofClients_.end() && --it->second == 0) ofClients_.erase(it);
  deps_.context.fds.release(&deps_.holder, kDescriptors);
  if (attempts_.empty()) deps_.context.loop.wantTicks(false);
}

HeldSyn* HeldSyns::findAdmitted(const Ends& ends, bool translated) {
  auto it = attempts_.find(FourTuple(ends.client, ends.destination));
  if (it != attempts_.end() && it->second->isAdmitted()) return it->second;
  if (!translated) return nullptr;
  it = std::find_if(attempts_.begin(), attempts_.end(), [&](const auto& attempt) {
    const HeldSyn& held = *attempt.second;
    // Of its client only the address.
    Address client = ends.client;
    client.setPort(held.syn().source.port());
    return held.isAdmitted() && held.ends() == FourTuple(client, ends.destination);
  });
  return it == attempts_.end() ? nullptr : it->second;
}

Admitted HeldSyns::take(const Ends& ends, bool translated) {
  HeldSyn* held = findAdmitted(ends, translated);
  if (held == nullptr) return {};
  Admitted admitted{true, held->destination(), held->takeHost()};
  deps_.context.fds.acquire(&deps_.holder, kDescriptors);
  remove(held);
  held->end();
  return admitted;
}

template <typename Wanted>
void HeldSyns::endAll(Wanted wanted) {
  std::vector<HeldSyn*> ended;
  for (const auto& [ends, held] : attempts_) {
    if (wanted(*held)) ended.push_back(held);
  }
  for (HeldSyn* held : ended) {
    remove(held);
    held->end();
  }
}

void HeldSyns::tick() {
  uint64_t now = deps_.context.loop.now();
  if (attempts_.empty() || now < nextCheck_) return;
  nextCheck_ = now + kCheckMs;
  endAll([now](const HeldSyn& held) { return held.isAbandoned(now); });
}

void HeldSyns::endOf(const Address& client) {
  endAll([&](const HeldSyn& held) { return held.syn().source.ipBytes() == client.ipBytes(); });
}

void HeldSyns::close() {
  while (!attempts_.empty()) {
    HeldSyn* held = attempts_.begin()->second;
    remove(held);
    held->end();
  }
}

}  // namespace rn
