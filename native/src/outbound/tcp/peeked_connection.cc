#include "outbound/tcp/peeked_connection.h"

#include <errno.h>
#include <sys/socket.h>
#include <algorithm>
#include <utility>

#include "system/sockets.h"

namespace rn {

PeekedConnection::PeekedConnection(Loop& loop, Ends ends, Done done)
    : loop_(loop), ends_(std::move(ends)), done_(std::move(done)), until_(loop.now() + kPatienceMs) {}

void PeekedConnection::begin() {
  // Edge-triggered: what was looked at is still there.
  if (!loop_.watch(ends_.client.get(), EPOLLIN | EPOLLRDHUP | EPOLLET, this)) finish();
}

void PeekedConnection::onEvents(uint32_t events) {
  if (isDeleted()) return;
  char buffer[kMost];
  ssize_t n = recv(ends_.client.get(), buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  size_t known = bytes_.consumed();
  bool more = n > 0 && (size_t(n) <= known || bytes_.feed({buffer + known, size_t(n) - known}));
  bool over = n <= 0 || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if (!more || over) finish();
}

void PeekedConnection::tick(uint64_t now) {
  if (now >= until_) finish();
}

void PeekedConnection::finish() {
  if (isDeleted()) return;
  loop_.unwatch(this);
  loop_.deleteLater(this);
  Peeked peeked = bytes_.result();
  done_(this, std::move(ends_), peeked);
}

void PeekedConnection::end() {
  if (isDeleted()) return;
  loop_.unwatch(this);
  loop_.deleteLater(this);
  sockets::closeWithReset(std::move(ends_.client));
  sockets::closeWithReset(std::move(ends_.host));
}

}  // namespace rn
