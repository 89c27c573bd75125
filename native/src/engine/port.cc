#include "engine/port.h"

#include <errno.h>
#include <fcntl.h>

#include "system/sockets.h"

namespace rn {

Refusal refusalOf(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET: return Refusal::noServer;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case ETIMEDOUT: return Refusal::unreachable;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return Refusal::limit;
    case EPIPE:
    case EPROTO: return Refusal::agent;
    default: return Refusal::other;
  }
}

SourceSeen Counters::countSource(const Address& client, int child) {
  if (client.isLoopback()) return SourceSeen::unknown;
  Address own;
  own.length = sizeof own.v6;
  bool kept = getsockname(child, &own.sa, &own.length) == 0 && own.ip() == client.ip();
  (kept ? sourceKept : sourceHidden)++;
  return kept ? SourceSeen::kept : SourceSeen::hidden;
}

void Counters::countRefusal(int error) {
  refused++;
  refusedBy[size_t(refusalOf(error))]++;
}

void Counters::addTo(CounterTotals* totals) const {
  totals->open += open;
  totals->opened += opened;
  totals->refused += refused;
  totals->in += in;
  totals->out += out;
  totals->sourceKept += sourceKept;
  totals->sourceHidden += sourceHidden;
  for (size_t i = 0; i < kRefusals; i++) totals->refusedBy[i] += refusedBy[i];
}

Context& Shared::leastLoaded(Context& own) const {
  Context* chosen = &own;
  uint32_t least = own.load;
  for (Context* context : threads) {
    uint32_t load = context->load;
    if (load >= least) continue;
    chosen = context;
    least = load;
  }
  return *chosen;
}

Port::Port(Context& context, PortOptions options)
    : id_(options.id),
      context_(context),
      target_(std::move(options.target)),
      direct_(options.direct),
      ownerId_(options.owner),
      proxyProtocol_(options.proxyProtocol) {
  for (Fd& fd : options.listeners) listeners_.push_back(std::make_unique<Listener>(this, std::move(fd)));
}

CounterTotals Port::counters() const {
  CounterTotals totals;
  counters_.addTo(&totals);
  return totals;
}

void Port::open() { context_.fds.acquire(this, listeners_.size()); }

void Port::watch() {
  for (auto& listener : listeners_) context_.loop.watch(listener->fd.get(), EPOLLIN, listener.get());
}

Fd Port::listener() const {
  bool has = !closed_ && listeners_.size() == 1 && listeners_.front()->fd.valid();
  return Fd(!has ? -1 : fcntl(listeners_.front()->fd.get(), F_DUPFD_CLOEXEC, 0));
}

int Port::suspend() {
  if (closed_ || suspended_ || listeners_.size() != 1 || !listeners_.front()->fd.valid()) return EBADF;
  Listener* listener = listeners_.front().get();
  onListenersEnd();
  suspended_ = true;
  // Otherwise epoll would report the hang-up again and again.
  context_.loop.unwatch(listener);
  watched_ = false;
  int error = stopListening(listener);
  if (error != 0) resume();
  return error;
}

Fd Port::transfer() {
  Fd fd = listener();
  if (!fd.valid() || suspended_) return Fd();
  onListenersEnd();
  suspended_ = transferred_ = true;
  context_.loop.unwatch(listeners_.front().get());
  watched_ = false;
  sockets::unprepareListener(fd.get());
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  return fd;
}

int Port::resume() {
  if (closed_ || !suspended_) return 0;
  if (!listeners_.front()->fd.valid()) return EBADF;
  int error = listenAgain(listeners_.front().get());
  if (error != 0) return error;
  suspended_ = false;
  watchListeners(EPOLLIN);
  return 0;
}

uint32_t Port::dial(Dial* dial, const Address& client, uint32_t attempt) {
  if (!isDirect()) return context_.agents.request(dial, &target_, client, attempt);
  std::shared_ptr<Port> owner = owner_.lock();
  if (owner == nullptr || !owner->suspended_) {
    dial->onDialFailed(ECONNREFUSED, "no server");
    return 0;
  }
  // Connecting on this host is immediate; where it is not, because the server is slow to accept, the relay waits.
  Fd fd(attempt > 0 ? -1 : socket(direct_.family(), target_.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.valid() && target_.type == SOCK_STREAM) sockets::keepUrgentInLine(fd.get());
  if (!fd.valid()) {
    dial->onDialFailed(attempt > 0 ? ECONNREFUSED : errno, "no server");
  } else if (connect(fd.get(), &direct_.sa, direct_.length) != 0 && errno != EINPROGRESS) {
    dial->onDialFailed(errno, "no server");
  } else {
    dial->onDialed(std::move(fd));
  }
  return 0;
}

void Port::watchListeners(uint32_t events) {
  if (suspended_) return;
  for (auto& listener : listeners_) {
    if (!listener->fd.valid()) continue;
    if (watched_) {
      context_.loop.rewatch(events, listener.get());
    } else {
      context_.loop.watch(listener->fd.get(), events, listener.get());
    }
  }
  watched_ = true;
}

void Port::close() {
  if (closed_) return;
  closed_ = true;
  onListenersEnd();
  for (auto& listener : listeners_) {
    if (listener->fd.valid()) closeListener(listener.get());
  }
  closeConnections();
  wantTicks(false);
}

void Port::closeListener(Listener* listener) {
  context_.loop.unwatch(listener);
  // Programs that hold it may have connected it, and set SO_LINGER. The address must be free when this returns.
  if (sharesListener()) context_.watchdog.enter();
  listener->fd.reset();
  if (sharesListener()) context_.watchdog.leave();
  context_.fds.release(this, 1);
}

void Port::endListener(Listener* listener, const std::string& why) {
  if (closed_ || !listener->fd.valid()) return;
  onListenersEnd();
  closeListener(listener);
  reportState(why);
}

void Port::reportState(const std::string& why) {
  if (isDirect()) return;
  Event event{Event::Kind::portState};
  event.id = id_;
  event.text = why;
  context_.events.emit(std::move(event));
}

void Port::onListenerStalled(Listener* listener) {
  // A listener that only this process holds cannot be stalled from outside: the cause may pass, so it is retried.
  if (sharesListener()) endListener(listener, "a program inside keeps its socket from being read");
}

void Port::wantTicks(bool wanted) {
  if (wanted == wantsTicks_) return;
  wantsTicks_ = wanted;
  if (wanted) context_.ticking.insert(this);
  else context_.ticking.erase(this);
  context_.loop.wantTicks(wanted);
}

}  // namespace rn
