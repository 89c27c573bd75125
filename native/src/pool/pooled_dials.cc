#include "pool/pooled_dials.h"

#include <utility>

namespace rn {

void PooledDials::use(Watchdog* watchdog, FdBudget* budget, size_t threads, const std::string& congestion) {
  watchdog_ = watchdog;
  congestion_ = congestion;
  pool_.use(budget, threads);
}

Fd PooledDials::restart() {
  if (watchdog_ == nullptr) return Fd();
  pool_.restart();
  routes_.clear(0);
  return page_.renew();
}

PooledDials::Result PooledDials::dial(uint32_t id, const DialTarget& target, const Address& client, Fd* fd) {
  if (pool_.ended()) return Result::no;
  uint32_t epoch = page_.value();
  if (epoch != routes_.epoch()) routes_.clear(epoch);
  if (epoch == 0) return Result::no;
  Address source = client.unmapped();
  const Route* route = routes_.find(*target.request, source);
  if (route == nullptr || route->addresses->empty()) return Result::no;
  if (!pool_.want(route->addresses->front().family()) || isAvoided(target)) return Result::no;
  Outgoing out{SOCK_STREAM, target.port, source, route->keepSource, route->mark, true};
  return start(id, target, TcpConnect(out, route->addresses, 0), fd);
}

void PooledDials::appendRequests(std::string* outgoing) {
  for (const Routes::Wanted& wanted : routes_.takeWanted()) {
    wire::Request request{wire::kRoute, wanted.id};
    request.target = wanted.target;
    request.sourceIP = wanted.sourceIP;
    *outgoing += wire::encodeRequest(request);
  }
  SocketPool::Request wanted;
  if (!pool_.nextRequest(&wanted)) return;
  wire::Request request{wire::kSockets, wanted.id};
  request.family = wanted.family == AF_INET ? 4 : 6;
  request.count = uint32_t(wanted.count);
  *outgoing += wire::encodeRequest(request);
}

void PooledDials::onRoute(const wire::Answer& answer) {
  const Route* route = routes_.onAnswer(answer);
  // The next connection finds a socket.
  if (route != nullptr && !route->addresses->empty()) pool_.want(route->addresses->front().family());
}

void PooledDials::second() {
  pool_.second();
  if (pool_.idle()) routes_.clear(routes_.epoch());
}

Fd PooledDials::make(int type, const Address& to) {
  Fd fd = ParentDials::make(type, to);
  if (fd.valid() && to.isLoopback()) sockets::setCongestion(fd.get(), congestion_);
  return fd;
}

}  // namespace rn
