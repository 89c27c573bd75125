#include "pool/pooled_dials.h"

#include <errno.h>
#include <utility>

#include "loop/closer.h"

namespace rn {

class PooledDials::Pending : public PendingConnect {
 public:
  Pending(PooledDials& dials, uint32_t id, const DialTarget* target, TcpConnect connect)
      : PendingConnect(dials.loop_, std::move(connect)), dials_(dials), id_(id), target_(target) {}
  using PendingConnect::end;

 protected:
  Sockets& sockets() override { return dials_; }
  void onDone(TcpConnect& connect, TcpConnect::State state) override {
    dials_.pending_.erase(id_);
    if (state != TcpConnect::State::connected) dials_.noteRefused(target_);
    dials_.owner_.onPooled(id_, std::move(connect.fd));
  }

 private:
  PooledDials& dials_;
  uint32_t id_;
  const DialTarget* target_;
};

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
  if (!pool_.want(route->addresses->front().family()) || wasRefused(target)) return Result::no;

  TcpConnect connect({SOCK_STREAM, target.port, source, route->keepSource, route->mark, true}, route->addresses, 0);
  switch (connect.start(*this)) {
    case TcpConnect::State::connected: *fd = std::move(connect.fd); return Result::connected;
    case TcpConnect::State::pending:
      pending_[id] = new Pending(*this, id, &target, std::move(connect));
      return Result::pending;
    case TcpConnect::State::failed: noteRefused(&target); break;
  }
  return Result::no;
}

void PooledDials::cancel(uint32_t id) {
  auto it = pending_.find(id);
  if (it == pending_.end()) return;
  it->second->end();
  pending_.erase(it);
}

bool PooledDials::wasRefused(const DialTarget& target) const {
  auto it = refusedUntil_.find(&target);
  return it != refusedUntil_.end() && loop_.now() < it->second;
}

void PooledDials::noteRefused(const DialTarget* target) {
  if (refusedUntil_.size() >= kMaxRefused) refusedUntil_.clear();
  refusedUntil_[target] = loop_.now() + kRefusedMs;
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

Fd PooledDials::make(int, const Address& to) {
  Fd fd = pool_.take(to.family());
  // As if there were no descriptors: no other address can be tried.
  if (!fd.valid()) errno = EMFILE;
  if (fd.valid() && to.isLoopback()) sockets::setCongestion(fd.get(), congestion_);
  fresh_ = fd.get();
  return fd;
}

int PooledDials::connect(int fd, const Address& to) {
  watchdog_->enter();
  int error = ::connect(fd, &to.sa, to.length) == 0 ? 0 : errno;
  if (watchdog_->leave()) {
    owner_.onPooledBlocked();
    return EINTR;
  }
  // The first call for a fresh socket never completes at once; the agent has connected this one before.
  bool first = std::exchange(fresh_, -1) == fd;
  return first && (error == 0 || error == EALREADY) ? EISCONN : error;
}

// The agent may have set SO_LINGER.
void PooledDials::discard(Fd fd) { closer::close(std::move(fd)); }

}  // namespace rn
