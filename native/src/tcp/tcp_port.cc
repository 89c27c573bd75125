#include "tcp_port.h"

#include <errno.h>
#include <string.h>
#include <algorithm>

#include "proxy_protocol.h"
#include "sockets.h"

namespace {
constexpr int kAcceptsAtOnce = 64;
// Ticks of 100 ms that a connection waits for a free descriptor.
constexpr int kMaxWaits = 50;
constexpr const char* kNoFds = "out of file descriptors; accepting goes on when some are free";

bool outOfFds(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }
}  // namespace

class TcpConnection : public TcpRelay, public Dial {
 public:
  TcpConnection(Context& context, TcpPort* port, Fd client, const Address& address)
      : TcpRelay(context, port->counters_), port_(port), address_(address), number_(context.nextConnection++) {
    fds_[kClient] = std::move(client);
    context_.fds.take(2);
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
    counters_.open++;
    counters_.opened++;
    open_ = true;
    counters_.countSource(address_, fds_[kChild].get());
    tell(Event::Kind::connectionOpened, "");
    if (!introduce() || !startRelay()) finish(true);
  }

  void onDialFailed(int error, std::string_view message) override {
    dialId_ = 0;
    if (outOfFds(error) && ++waits_ < kMaxWaits) {
      port_->pause(kNoFds);
      port_->waiting_.push_back(this);
      port_->updateTicks();
      return;
    }
    counters_.refused++;
    tell(Event::Kind::connectionRefused, std::string(message));
    finish(true);
  }

 protected:
  void onFinished() override {
    if (dialId_ != 0) context_.agents.cancel(dialId_);
    context_.fds.give(2);
    port_->connections_.erase(this);
    auto& waiting = port_->waiting_;
    waiting.erase(std::remove(waiting.begin(), waiting.end(), this), waiting.end());
    if (!open_) return;
    counters_.open--;
    tell(Event::Kind::connectionClosed, "");
  }

 private:
  // Says who the client is, where the port is asked to. False where that does not go through at once: it is the first
  // thing that the socket takes.
  bool introduce() {
    if (port_->proxyProtocol_ == 0) return true;
    Address asked;
    asked.length = sizeof asked.v6;
    if (getsockname(fds_[kClient].get(), &asked.sa, &asked.length) != 0) return false;
    std::string head = proxy::head(port_->proxyProtocol_, address_, asked);
    return send(fds_[kChild].get(), head.data(), head.size(), MSG_DONTWAIT | MSG_NOSIGNAL) == ssize_t(head.size());
  }

  void tell(Event::Kind kind, std::string reason) {
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
  bool open_ = false;
};

void TcpPort::closeConnections() {
  waiting_.clear();
  auto connections = std::move(connections_);
  connections_.clear();
  for (TcpConnection* connection : connections) connection->finish(true);
}

void TcpPort::onReadable(Listener* listener) {
  for (int i = 0; i < kAcceptsAtOnce && !closed_ && !paused_; i++) {
    if (!context_.fds.hasRoom(2)) {
      pause(kNoFds);
      return;
    }
    Address address;
    address.length = sizeof address.v6;
    // The listener of a direct port is the program's, which may have made it blocking again.
    if (isDirect()) context_.watchdog.enter();
    Fd client(accept4(listener->fd.get(), &address.sa, &address.length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (isDirect()) context_.watchdog.leave();
    if (!client.valid()) {
      if (isDirect() && errno == EINTR) return;
      if (errno == EAGAIN) return;
      if (outOfFds(errno)) {
        pause(kNoFds);
        return;
      }
      // ECONNABORTED, EINTR and the network errors of accept(2): they belong to a connection that is gone.
      continue;
    }
    if (address.isLoopback()) sockets::setCongestion(client.get(), context_.congestion);
    auto* connection = new TcpConnection(context_, this, std::move(client), address);
    connections_.insert(connection);
    connection->dial();
  }
}

// A port that does not listen keeps its address (inet_csk_listen_stop in the kernel; SHUT_RD on a listener).
int TcpPort::stopTaking(Listener* listener) { return shutdown(listener->fd.get(), SHUT_RD) == 0 ? 0 : errno; }

int TcpPort::takeAgain(Listener* listener) {
  return listen(listener->fd.get(), sockets::kBacklog) == 0 ? 0 : errno;
}

void TcpPort::pause(const char* why) {
  if (paused_ || closed_) return;
  paused_ = true;
  watchListeners(0);
  tellState(why);
  updateTicks();
}

void TcpPort::resume() {
  paused_ = false;
  watchListeners(EPOLLIN);
  tellState("");
}

void TcpPort::tellState(const char* why) {
  if (isDirect()) return;
  Event event{Event::Kind::portState};
  event.id = id_;
  event.text = why;
  context_.events.emit(std::move(event));
}

void TcpPort::onTick() {
  std::vector<TcpConnection*> waiting;
  waiting.swap(waiting_);
  for (TcpConnection* connection : waiting) connection->dial();
  if (paused_ && waiting.empty() && context_.fds.hasRoom(2)) {
    // The budget may say yes where the process has none left: try before saying that all is well.
    Fd probe(dup(listeners_.front()->fd.get()));
    if (probe.valid()) resume();
  }
  updateTicks();
}
