#include "outbound/tcp/outbound_tcp.h"

#include <errno.h>
#include <sys/socket.h>
#include <algorithm>
#include <utility>

#include "system/sockets.h"
#include "tcp/tcp_relay.h"

namespace rn {

namespace {
constexpr int kAcceptsAtOnce = 64;
// LISTENER_PORT in gateway/parts.h.
constexpr uint16_t kListenerPort = 1;
// Of linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h, which C++ cannot include: one number for both families.
constexpr int kOriginalDestination = 80;

// Where a connection led to before the kernel's NAT changed its destination; false where it did not.
bool originalDestination(int fd, Address* destination) {
  Address found;
  found.length = sizeof found.v6;
  int level = destination->family() == AF_INET ? SOL_IP : SOL_IPV6;
  if (getsockopt(fd, level, kOriginalDestination, &found.sa, &found.length) != 0) return false;
  if (found.family() != destination->family()) return false;
  *destination = found;
  return true;
}
}  // namespace

class OutboundConnection : public TcpRelay {
 public:
  OutboundConnection(std::shared_ptr<OutboundPart> part, FdBudget::Holder& holder, PeekedConnection::Ends ends)
      : TcpRelay(part->context, part->counters),
        part_(std::move(part)),
        holder_(holder),
        flow_(std::move(ends.flow)),
        limit_(part_->egress.sources().limitOf(flow_.client)) {
    fds_[kClient] = std::move(ends.client);
    fds_[kChild] = std::move(ends.host);
  }

  void start() {
    part_->connections.insert(this);
    counters_.open++;
    counters_.opened++;
    begunAt_ = context_.loop.now();
    open_ = true;
    if (context_.watchConnections) reportFlow(context_, Event::Kind::outboundOpened, report());
    if (!startRelay()) finish(true);
  }

  FlowReport report() const {
    FlowReport flow = flow_;
    flow.sent = bytesIn();
    flow.received = bytesOut();
    flow.age = context_.loop.now() - begunAt_;
    if (isHalfClosed()) flow.state = FlowState::halfClosed;
    return flow;
  }

 protected:
  Limits limitsOf(int source) const override {
    LimitPair& all = context_.shared.limitOfStack;
    return source == kClient ? outgoingLimits(all, limit_) : incomingLimits(all, limit_);
  }

  void onFinished() override {
    context_.fds.release(&holder_, HeldSyns::kDescriptors);
    context_.load--;
    part_->connections.erase(this);
    reportEnd();
    if (!open_) return;
    counters_.open--;
    if (context_.watchConnections) reportFlow(context_, Event::Kind::outboundClosed, report());
  }

 private:
  // To the egress, which is the first thread's.
  void reportEnd() {
    if (&context_ == &part_->first) {
      part_->egress.closed(flow_.client, flow_.destination);
      return;
    }
    part_->first.loop.post([part = part_, client = flow_.client, destination = flow_.destination] {
      part->egress.closed(client, destination);
    });
  }

  std::shared_ptr<OutboundPart> part_;
  FdBudget::Holder& holder_;
  FlowReport flow_;
  LimitPair* limit_;
  uint64_t begunAt_ = 0;
  bool open_ = false;
};

class OutboundTcp::Listener : public Handler {
 public:
  Listener(OutboundTcp* owner, Fd socket) : fd(std::move(socket)), owner_(owner) {}
  void onEvents(uint32_t) override { owner_->accept(this); }
  using Handler::progress;
  Fd fd;

 private:
  OutboundTcp* owner_;
};

OutboundTcp::OutboundTcp(Deps deps, Fd listener4, Fd listener6)
    : deps_(std::move(deps)), held_({deps_.context, deps_.out, deps_.egress, deps_.holder}) {
  for (Context* thread : deps_.context.shared.threads) {
    parts_.push_back(std::make_shared<OutboundPart>(*thread, deps_.context, deps_.egress));
  }
  for (Fd* listener : {&listener4, &listener6}) {
    if (!listener->valid()) continue;
    sockets::prepareListener(listener->get(), listener == &listener4 ? AF_INET : AF_INET6, SOCK_STREAM, false);
    listeners_.push_back(std::make_unique<Listener>(this, std::move(*listener)));
    deps_.context.loop.watch(listeners_.back()->fd.get(), EPOLLIN, listeners_.back().get());
  }
}

OutboundTcp::~OutboundTcp() = default;

void OutboundTcp::accept(Listener* listener) {
  for (int i = 0; i < kAcceptsAtOnce; i++) {
    Address address;
    address.length = sizeof address.v6;
    Fd client(accept4(listener->fd.get(), &address.sa, &address.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    // Without descriptors it is retried: the loop backs off (loop.h).
    if (!client.valid()) return;
    listener->progress();
    accepted(std::move(client), address);
  }
}

void OutboundTcp::accepted(Fd client, const Address& address) {
  Address destination;
  destination.length = sizeof destination.v6;
  if (getsockname(client.get(), &destination.sa, &destination.length) != 0) return;
  // Connections are accepted at their destination, or with NAT at the port of the listener (gateway/gateway.h).
  bool translated = destination.port() == kListenerPort && originalDestination(client.get(), &destination);
  Admitted admitted = held_.take({address, destination}, translated);
  if (!admitted.found) {
    sockets::closeWithReset(std::move(client));
  } else if (admitted.destination.kind == Destination::Kind::dns) {
    deps_.serveDns(std::move(client), address);
  } else {
    FlowReport flow;
    flow.protocol = IPPROTO_TCP;
    flow.connection = deps_.context.shared.nextConnection++;
    flow.client = address;
    flow.destination = destination;
    flow.host = admitted.destination.address;
    flow.name = deps_.egress.nameOf(destination);
    PeekedConnection::Ends ends{std::move(client), std::move(admitted.host), std::move(flow)};
    admitted.destination.needsPeek ? peek(std::move(ends)) : relay(std::move(ends));
  }
}

void OutboundTcp::peek(PeekedConnection::Ends ends) {
  auto done = [this](PeekedConnection* self, PeekedConnection::Ends ends, const Peeked& peeked) {
    peeked_.erase(self);
    if (peeked_.empty()) deps_.context.loop.wantTicks(false);
    if (deps_.egress.decidePeeked(ends.flow.client, ends.flow.destination, peeked)) {
      ends.flow.name = peeked.name;
      relay(std::move(ends));
      return;
    }
    sockets::closeWithReset(std::move(ends.client));
    sockets::closeWithReset(std::move(ends.host));
    deps_.context.fds.release(&deps_.holder, HeldSyns::kDescriptors);
  };
  auto* connection = new PeekedConnection(deps_.context.loop, std::move(ends), done);
  if (peeked_.empty()) deps_.context.loop.wantTicks(true);
  peeked_.insert(connection);
  connection->begin();
}

void OutboundTcp::tick() {
  held_.tick();
  std::vector<PeekedConnection*> waiting(peeked_.begin(), peeked_.end());
  for (PeekedConnection* connection : waiting) connection->tick(deps_.context.loop.now());
}

const std::shared_ptr<OutboundPart>& OutboundTcp::partOf(const Context& thread) const {
  return *std::find_if(parts_.begin(), parts_.end(), [&](const auto& one) { return &one->context == &thread; });
}

void OutboundTcp::relay(PeekedConnection::Ends ends) {
  deps_.egress.opened(ends.flow.client, ends.flow.destination);
  Context& chosen = deps_.context.shared.leastLoaded(deps_.context);
  chosen.load++;
  std::shared_ptr<OutboundPart> part = partOf(chosen);
  auto* connection = new OutboundConnection(part, deps_.holder, std::move(ends));
  if (&chosen == &deps_.context) {
    connection->start();
    return;
  }
  // After close() has ended the others.
  chosen.loop.post([connection, part] { part->closed ? connection->finish(true) : connection->start(); });
}

void OutboundTcp::close() {
  held_.close();
  if (!peeked_.empty()) deps_.context.loop.wantTicks(false);
  for (PeekedConnection* connection : std::exchange(peeked_, {})) {
    connection->end();
    deps_.context.fds.release(&deps_.holder, HeldSyns::kDescriptors);
  }
  for (const auto& listener : listeners_) {
    deps_.context.loop.unwatch(listener.get());
    listener->fd.reset();
  }
  for (const auto& part : parts_) {
    auto end = [part] {
      part->closed = true;
      auto connections = std::move(part->connections);
      part->connections.clear();
      for (OutboundConnection* connection : connections) connection->finish(true);
    };
    if (&part->context == &deps_.context) end();
    else part->context.loop.post(end);
  }
}

void OutboundTcp::listFlows(const Context& thread, std::vector<FlowReport>* flows) const {
  for (const OutboundConnection* connection : partOf(thread)->connections) flows->push_back(connection->report());
}

CounterTotals OutboundTcp::counters() const {
  CounterTotals totals;
  for (const auto& part : parts_) part->counters.addTo(&totals);
  return totals;
}

}  // namespace rn
