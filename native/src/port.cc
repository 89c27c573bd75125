#include "port.h"

void Counters::countSource(const Address& client, int child) {
  if (client.isLoopback()) return;
  Address own;
  own.length = sizeof own.v6;
  bool kept = getsockname(child, &own.sa, &own.length) == 0 && own.ip() == client.ip();
  (kept ? sourceKept : sourceHidden)++;
}

Port::Port(Context& context, PortOptions options)
    : id_(options.id), context_(context), target_(std::move(options.target)), proxyProtocol_(options.proxyProtocol) {
  for (Fd& fd : options.listeners) listeners_.push_back(std::make_unique<Listener>(this, std::move(fd)));
}

void Port::open() {
  context_.fds.take(listeners_.size());
  watchListeners(EPOLLIN);
}

void Port::watchListeners(uint32_t events) {
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
