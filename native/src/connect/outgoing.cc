#include "connect/outgoing.h"

#include <errno.h>

namespace rn {

namespace {
// If there is no listener on a local port, and the kernel happens to choose that port for the client's side, a socket
// connects to itself (simultaneous open, RFC 9293, section 3.5).
bool isConnectedToItself(int fd, const Address& to) {
  // Below that no ports are chosen for clients (ip(7), ip_local_port_range).
  if (to.port() < 1024) return false;
  Address own;
  own.length = sizeof own.v6;
  return getsockname(fd, &own.sa, &own.length) == 0 && own.port() == to.port() && own.ip() == to.ip();
}

// There is no route from that address.
bool cannotBeKept(int error) {
  return error == EADDRNOTAVAIL || error == EINVAL || error == ENETUNREACH || error == EHOSTUNREACH;
}
}  // namespace

Fd openTo(Sockets& sockets, Outgoing out, const Address& to, int* error) {
  bool keep = out.keepSource && out.source.family() == to.family();
  for (;;) {
    Fd fd = sockets.make(out.type, to);
    if (!fd.valid()) {
      *error = errno;
      return fd;
    }
    bool kept = !keep || (sockets::setMark(fd.get(), out.mark) &&
                          sockets::bindTransparently(fd.get(), out.type, {out.source, to, sockets.diagnostics()}));
    if (kept) {
      *error = sockets.connect(fd.get(), to);
      auto path = keep && *error == 0 ? sockets.leadBack(fd.get(), to, out) : ReturnPaths::Result::made;
      if (path == ReturnPaths::Result::taken) *error = EADDRNOTAVAIL;
      kept = path != ReturnPaths::Result::failed;
      if (kept && (*error == 0 || *error == EINPROGRESS)) return fd;
    }
    sockets.discard(std::move(fd));
    if (!keep) return Fd();
    if (kept && *error == EADDRNOTAVAIL && out.source.port() != 0) {
      // Such a connection exists, through another published port, or existed a moment ago (TIME_WAIT). Keep the client's
      // address; only the source port changes.
      out.source.setPort(0);
    } else if (!kept || cannotBeKept(*error)) {
      keep = false;
      if (out.insists) {
        *error = ECANCELED;
        return Fd();
      }
    } else {
      return Fd();
    }
  }
}

Address TcpConnect::to() const {
  Address to = (*addresses_)[index_];
  to.setPort(out_.port);
  return to;
}

TcpConnect::State TcpConnect::start(Sockets& sockets) {
  for (; index_ < addresses_->size(); index_++) {
    Address to = this->to();
    fd = openTo(sockets, out_, to, &error_);
    if (!fd.valid()) {
      // No IPv6 here (EAFNOSUPPORT): the next address may succeed. No descriptors: none will.
      if (error_ == EMFILE || error_ == ENFILE || error_ == ECANCELED) break;
      continue;
    }
    if (error_ == EINPROGRESS) {
      // To a local address the handshake is complete by now; calling again returns the result.
      error_ = sockets.connect(fd.get(), to);
      if (error_ == EISCONN) error_ = 0;
    }
    if (error_ == EALREADY || error_ == EINPROGRESS) return State::pending;
    if (error_ == 0 && !isConnectedToItself(fd.get(), to)) return State::connected;
    giveUp(sockets);
  }
  return State::failed;
}

TcpConnect::State TcpConnect::resume(Sockets& sockets) {
  socklen_t length = sizeof error_;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error_, &length);
  if (error_ == 0 && !isConnectedToItself(fd.get(), to())) return State::connected;
  giveUp(sockets);
  index_++;
  return start(sockets);
}

// The socket is of no use.
void TcpConnect::giveUp(Sockets& sockets) {
  if (error_ == 0) {
    // It is connected to itself.
    sockets::resetAtClose(fd);
    error_ = ECONNREFUSED;
  }
  sockets.discard(std::move(fd));
}

PendingConnect::PendingConnect(Loop& loop, TcpConnect connect) : loop_(loop), connect_(std::move(connect)) {
  loop_.watch(connect_.fd.get(), EPOLLOUT, this);
}

void PendingConnect::onEvents(uint32_t) {
  if (isDeleted()) return;
  loop_.unwatch(this);
  TcpConnect::State state = connect_.resume(sockets());
  if (state == TcpConnect::State::pending) {
    loop_.watch(connect_.fd.get(), EPOLLOUT, this);
    return;
  }
  loop_.deleteLater(this);
  onDone(connect_, state);
}

void PendingConnect::end() {
  if (isDeleted()) return;
  loop_.unwatch(this);
  sockets().discard(std::move(connect_.fd));
  loop_.deleteLater(this);
}

}  // namespace rn
