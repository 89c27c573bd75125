#include "tcp/tcp_port.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <algorithm>

#include "system/sockets.h"
#include "tcp/proxy_protocol.h"

namespace rn {

namespace {
constexpr int kAcceptsAtOnce = 64;
// Ticks of 100 ms that a connection waits for a free descriptor.
constexpr int kMaxWaits = 50;
constexpr const char* kNoFds = "out of file descriptors; accepting resumes when some are free";

// Errors of accept(2) that are permanent, of the listener itself. Others belong to a connection that is gone.
bool endsListener(int error) { return error == EINVAL || error == EBADF || error == ENOTSOCK || error == EOPNOTSUPP; }

bool outOfFds(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }
}  // namespace

class TcpConnection : public TcpRelay, public Dial {
 public:
  TcpConnection(Context& context, TcpPort* port, Fd client, const Address& address)
      : TcpRelay(context, port->counters_),
        port_(port),
        address_(address),
        number_(context.shared.nextConnection++),
        begunAt_(context.loop.now()) {
    fds_[kClient] = std::move(client);
  }

  // It may be over, and failed, when this returns.
  void dial() {
    uint32_t id = port_->dial(this, address_, 0);
    if (!finished()) dialId_ = id;
  }

  void onDialPending() override { watchClient(); }

  void onDialed(Fd fd) override {
    dialId_ = 0;
    fds_[kChild] = std::move(fd);
    if (!port_->isDirect()) setTrust(context_.agents.trust());
    counters_.open++;
    counters_.opened++;
    open_ = true;
    source_ = counters_.countSource(address_, fds_[kChild].get());
    report(Event::Kind::connectionOpened, "");
    if (!sendProxyHeader() || !startRelay()) finish(true);
  }

  void onDialFailed(int error, std::string_view message) override {
    dialId_ = 0;
    if (outOfFds(error) && ++waits_ < kMaxWaits) {
      port_->pauseAccepting(kNoFds);
      port_->waiting_.push_back(this);
      port_->updateTicks();
      return;
    }
    counters_.countRefusal(error);
    report(Event::Kind::connectionRefused, std::string(message));
    finish(true);
  }

  PortFlow flow() const {
    FlowState state = !open_ ? FlowState::connecting : isHalfClosed() ? FlowState::halfClosed : FlowState::open;
    uint64_t age = context_.loop.now() - begunAt_;
    return {port_->id_, IPPROTO_TCP, number_, address_, bytesIn(), bytesOut(), age, state, source_};
  }

 protected:
  Limits limitsOf(int source) const override {
    LimitPair* own = (port_->home_ != nullptr ? port_->home_ : port_)->ownLimit();
    LimitPair& all = context_.shared.limitOfStack;
    return source == kClient ? incomingLimits(all, own) : outgoingLimits(all, own);
  }

  void onFinished() override {
    if (dialId_ != 0) context_.agents.cancel(dialId_);
    context_.fds.release(port_->home_ != nullptr ? port_->home_ : port_, 2);
    context_.load--;
    port_->connections_.erase(this);
    auto& waiting = port_->waiting_;
    waiting.erase(std::remove(waiting.begin(), waiting.end(), this), waiting.end());
    if (!open_) return;
    counters_.open--;
    report(Event::Kind::connectionClosed, "");
  }

 private:
  // Sends the PROXY protocol header, if the port has one. Returns false where it is not sent at once, although the socket
  // is new and empty.
  bool sendProxyHeader() {
    if (port_->proxyProtocol_ == 0) return true;
    Address asked;
    asked.length = sizeof asked.v6;
    if (getsockname(fds_[kClient].get(), &asked.sa, &asked.length) != 0) return false;
    std::string header = proxy::header(port_->proxyProtocol_, address_, asked);
    return send(fds_[kChild].get(), header.data(), header.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
           ssize_t(header.size());
  }

  void report(Event::Kind kind, std::string reason) {
    if (!context_.watchConnections || port_->isDirect()) return;
    Event event{kind};
    event.id = port_->id_;
    event.connection = number_;
    event.in = bytesIn();
    event.out = bytesOut();
    event.text = address_.text();
    event.data = std::move(reason);
    context_.events.emit(std::move(event));
  }

  TcpPort* port_;
  Address address_;
  uint64_t number_;
  uint32_t dialId_ = 0;
  int waits_ = 0;
  uint64_t begunAt_;
  bool open_ = false;
  SourceSeen source_ = SourceSeen::unknown;
};

void TcpPort::addFlows(std::vector<PortFlow>* flows) const {
  for (const TcpConnection* connection : connections_) flows->push_back(connection->flow());
}

void TcpPort::listParts(std::vector<std::shared_ptr<Port>>* parts) const {
  if (parts_) parts->insert(parts->end(), parts_->begin(), parts_->end());
}

void TcpPort::closeConnections() {
  waiting_.clear();
  auto connections = std::move(connections_);
  connections_.clear();
  for (TcpConnection* connection : connections) connection->finish(true);
  if (!parts_) return;
  // What was handed over is there before: tasks of one thread to another one keep their order.
  for (const auto& part : *parts_) {
    part->context_.loop.post([part, home = shared_from_this()] { part->close(); });
  }
}

void TcpPort::accepted(Fd client, const Address& address) {
  // Connections of a direct port depend on its owner, which this thread has.
  Context& chosen = isDirect() ? context_ : context_.shared.leastLoaded(context_);
  chosen.load++;
  context_.fds.acquire(this, 2);
  if (&chosen == &context_) {
    serve(std::move(client), address);
    return;
  }
  std::shared_ptr<TcpPort> part = partOn(chosen);
  auto fd = std::make_shared<Fd>(std::move(client));
  chosen.loop.post([part, fd, address] { part->serve(std::move(*fd), address); });
}

void TcpPort::serve(Fd client, const Address& address) {
  auto* connection = new TcpConnection(context_, this, std::move(client), address);
  connections_.insert(connection);
  connection->dial();
}

std::shared_ptr<TcpPort> TcpPort::partOn(const Context& context) {
  if (!parts_) {
    auto parts = std::make_unique<std::vector<std::shared_ptr<TcpPort>>>();
    for (Context* thread : context_.shared.threads) {
      PortOptions options;
      options.id = id_;
      options.target = target_;
      options.proxyProtocol = proxyProtocol_;
      if (thread == &context_) continue;
      parts->push_back(std::make_shared<TcpPort>(*thread, std::move(options)));
      parts->back()->home_ = this;
    }
    std::lock_guard<std::mutex> lock(partsMutex_);
    parts_ = std::move(parts);
  }
  return *std::find_if(parts_->begin(), parts_->end(), [&](const auto& part) { return &part->context_ == &context; });
}

CounterTotals TcpPort::counters() const {
  CounterTotals totals = Port::counters();
  std::lock_guard<std::mutex> lock(partsMutex_);
  if (!parts_) return totals;
  for (const auto& part : *parts_) part->counters_.addTo(&totals);
  return totals;
}

void TcpPort::onReadable(Listener* listener) {
  // From a listener that programs inside hold as well, one connection is accepted per event: it is there then, and
  // accept(2) does not block, even if they have cleared O_NONBLOCK.
  bool shared = sharesListener();
  for (int i = 0; i < (shared ? 1 : kAcceptsAtOnce) && !closed_ && !paused_; i++) {
    if (!context_.fds.makeRoom(this, 2)) {
      pauseAccepting(kNoFds);
      return;
    }
    Address address;
    address.length = sizeof address.v6;
    if (shared) {
      fcntl(listener->fd.get(), F_SETFL, O_RDWR | O_NONBLOCK);
      context_.watchdog.enter();
    }
    Fd client(accept4(listener->fd.get(), &address.sa, &address.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    int error = errno;
    bool held = shared && context_.watchdog.leave();
    if (!client.valid()) {
      if (error == EAGAIN) return;
      if (outOfFds(error)) {
        pauseAccepting(kNoFds);
        return;
      }
      if (held || endsListener(error)) {
        endListener(listener, std::string("its listener was ended by a program inside: ") + strerror(error));
        return;
      }
      continue;
    }
    listener->progress();
    if (address.isLoopback()) sockets::setCongestion(client.get(), context_.congestion);
    // The listener of a direct port has the options that the program set.
    if (isDirect()) sockets::keepUrgentInLine(client.get());
    accepted(std::move(client), address);
  }
}

// After SHUT_RD on a listener its address stays bound (inet_csk_listen_stop in the kernel).
int TcpPort::stopListening(Listener* listener) { return shutdown(listener->fd.get(), SHUT_RD) == 0 ? 0 : errno; }

int TcpPort::listenAgain(Listener* listener) { return listen(listener->fd.get(), sockets::kBacklog) == 0 ? 0 : errno; }

void TcpPort::pauseAccepting(const char* why) {
  context_.fds.freeSpare();
  if (home_ != nullptr) {
    home_->context_.loop.post([port = home_->weak_from_this(), why] {
      if (auto home = std::static_pointer_cast<TcpPort>(port.lock())) home->pauseAccepting(why);
    });
    return;
  }
  if (paused_ || closed_) return;
  paused_ = true;
  watchListeners(0);
  reportState(why);
  updateTicks();
}

void TcpPort::resumeAccepting() {
  paused_ = false;
  watchListeners(EPOLLIN);
  reportState("");
}

void TcpPort::onTick() {
  std::vector<TcpConnection*> waiting;
  waiting.swap(waiting_);
  for (TcpConnection* connection : waiting) connection->dial();
  if (paused_ && waiting.empty() && context_.fds.makeRoom(this, 2)) {
    // The budget may have room where the process has none: try before reporting that the port accepts again.
    Fd probe(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (probe.valid()) resumeAccepting();
  }
  updateTicks();
}

}  // namespace rn
