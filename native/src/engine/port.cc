#include "port.h"

#include <errno.h>
#include <fcntl.h>

#include "sockets.h"

void Counters::countSource(const Address& client, int child) {
  if (client.isLoopback()) return;
  Address own;
  own.length = sizeof own.v6;
  bool kept = getsockname(child, &own.sa, &own.length) == 0 && own.ip() == client.ip();
  (kept ? sourceKept : sourceHidden)++;
}

Port::Port(Context& context, PortOptions options)
    : id_(options.id),
      context_(context),
      target_(std::move(options.target)),
      direct_(options.direct),
      lenderId_(options.lender),
      proxyProtocol_(options.proxyProtocol) {
  for (Fd& fd : options.listeners) listeners_.push_back(std::make_unique<Listener>(this, std::move(fd)));
}

void Port::open() { context_.fds.take(listeners_.size()); }

void Port::watch() {
  for (auto& listener : listeners_) context_.loop.watch(listener->fd.get(), EPOLLIN, listener.get());
}

Fd Port::listener() const {
  return Fd(closed_ || listeners_.size() != 1 ? -1 : fcntl(listeners_.front()->fd.get(), F_DUPFD_CLOEXEC, 0));
}

int Port::lend() {
  if (closed_ || lent_ || listeners_.size() != 1) return EBADF;
  Listener* listener = listeners_.front().get();
  lent_ = true;
  // Otherwise epoll would say without end that it has hung up.
  context_.loop.unwatch(listener->fd.get());
  watched_ = false;
  int error = stopTaking(listener);
  if (error != 0) takeBack();
  return error;
}

Fd Port::handOver() {
  Fd fd = listener();
  if (!fd.valid() || lent_) return Fd();
  lent_ = true;
  context_.loop.unwatch(listeners_.front()->fd.get());
  watched_ = false;
  sockets::unprepareListener(fd.get());
  fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  return fd;
}

int Port::takeBack() {
  if (closed_ || !lent_) return 0;
  int error = takeAgain(listeners_.front().get());
  if (error != 0) return error;
  lent_ = false;
  watchListeners(EPOLLIN);
  return 0;
}

uint32_t Port::dial(Dial* dial, const Address& client, uint32_t attempt) {
  if (!isDirect()) return context_.agents.request(dial, &target_, client, attempt);
  std::shared_ptr<Port> lender = lender_.lock();
  if (lender == nullptr || !lender->lent_) {
    dial->onDialFailed(ECONNREFUSED, "no server");
    return 0;
  }
  // What connects takes no time on this host; and where it does, because the server is slow to accept, the relay waits.
  Fd fd(attempt > 0 ? -1 : socket(direct_.family(), target_.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
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
  if (lent_) return;
  for (auto& listener : listeners_) {
    if (watched_) {
      context_.loop.rewatch(listener->fd.get(), events, listener.get());
    } else {
      context_.loop.watch(listener->fd.get(), events, listener.get());
    }
  }
  watched_ = true;
}

void Port::close() {
  if (closed_) return;
  closed_ = true;
  for (auto& listener : listeners_) {
    context_.loop.unwatch(listener->fd.get());
    listener->fd.reset();
    context_.fds.give(1);
  }
  closeConnections();
  wantTicks(false);
}

void Port::wantTicks(bool wanted) {
  if (wanted == wantsTicks_) return;
  wantsTicks_ = wanted;
  context_.loop.wantTicks(wanted);
}
