#include "pool/parent_dials.h"

#include <errno.h>
#include <utility>

#include "loop/closer.h"

namespace rn {

void ParentDials::Pending::onDone(TcpConnect& connect, TcpConnect::State state) {
  dials_.pending_.erase(id_);
  if (state != TcpConnect::State::connected) dials_.avoid(target_);
  dials_.owner_.onMade(id_, std::move(connect.fd));
}

ParentDials::Result ParentDials::start(uint32_t id, const DialTarget& target, TcpConnect connect, Fd* fd) {
  switch (connect.start(*this)) {
    case TcpConnect::State::connected: *fd = std::move(connect.fd); return Result::connected;
    case TcpConnect::State::pending:
      pending_[id] = new Pending(*this, id, target, std::move(connect));
      return Result::pending;
    case TcpConnect::State::failed: avoid(target); break;
  }
  return Result::no;
}

void ParentDials::cancelPending(uint32_t id) {
  auto it = pending_.find(id);
  if (it == pending_.end()) return;
  it->second->end();
  pending_.erase(it);
}

bool ParentDials::isAvoided(const DialTarget& target) const {
  auto it = avoidedUntil_.find(&target);
  return it != avoidedUntil_.end() && loop_.now() < it->second;
}

void ParentDials::avoid(const DialTarget& target, uint64_t forMs) {
  if (avoidedUntil_.size() >= kMaxAvoided) avoidedUntil_.clear();
  avoidedUntil_[&target] = loop_.now() + forMs;
}

Fd ParentDials::make(int type, const Address& to) {
  Fd fd = poolOf(type).take(to.family());
  // As if there were no descriptors: no other address can be tried.
  if (!fd.valid()) errno = EMFILE;
  fresh_ = type == SOCK_STREAM ? fd.get() : -1;
  return fd;
}

int ParentDials::connect(int fd, const Address& to) {
  watchdog_->enter();
  int error = ::connect(fd, &to.sa, to.length) == 0 ? 0 : errno;
  if (watchdog_->leave()) {
    owner_.onBlocked();
    return EINTR;
  }
  // The first call for a fresh TCP socket never completes at once: this one was connected before, by its maker.
  bool first = std::exchange(fresh_, -1) == fd;
  return first && (error == 0 || error == EALREADY) ? EISCONN : error;
}

// Its maker may have set SO_LINGER.
void ParentDials::discard(Fd fd) { closer::close(std::move(fd)); }

}  // namespace rn
