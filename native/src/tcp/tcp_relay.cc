#include "tcp/tcp_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "loop/closer.h"
#include "system/sockets.h"

namespace rn {

namespace {
// A direction that fills a read of this size is in bulk, until many reads in a row are small (countRead).
constexpr size_t kBulk = 64 * 1024;
// How much one direction may move before others get their turn.
constexpr uint64_t kShare = 8 << 20;

// Whether the next byte is urgent (tcp(7), SIOCATMARK).
bool isAtMark(int fd) {
  int atMark = 0;
  return ioctl(fd, SIOCATMARK, &atMark) == 0 && atMark != 0;
}
}  // namespace

TcpRelay::TcpRelay(Context& context, Counters& counters) : context_(context), counters_(counters) {
  for (int side : {kClient, kChild}) {
    handlers_[side].relay = this;
    handlers_[side].side = side;
  }
}

TcpRelay::~TcpRelay() {
  for (Way& way : ways_) dropPending(&way);
}

void TcpRelay::watchClient() {
  // Errors and hang-ups are always reported (epoll_ctl(2)); an end of file alone may be a client that waits for its answer.
  if (!watched_[kClient]) watched_[kClient] = context_.loop.watch(fds_[kClient].get(), 0, &handlers_[kClient]);
}

bool TcpRelay::startRelay() {
  relaying_ = true;
  for (int side : {kClient, kChild}) {
    bool done = watched_[side] ? context_.loop.rewatch(kEvents, &handlers_[side])
                               : context_.loop.watch(fds_[side].get(), kEvents, &handlers_[side]);
    if (!done) return false;
    watched_[side] = true;
  }
  return true;
}

void TcpRelay::finish(bool reset, int gone) {
  if (finished_) return;
  finished_ = true;
  context_.halfClosed.remove(this);
  if (turns_) {
    for (int side : {kClient, kChild}) context_.pacer.forget(&turns_[side]);
  }
  for (int side : {kClient, kChild}) {
    // Not left to close(2): another process may hold the socket too (the agent the child's; a fork of this process both,
    // until it execs), and then the watch would outlive this object.
    if (watched_[side]) context_.loop.unwatch(&handlers_[side]);
    closeSide(side, reset && side != gone);
  }
  for (Way& way : ways_) dropPending(&way);
  onFinished();
  context_.loop.deleteLater(this);
}

void TcpRelay::closeSide(int side, bool reset) {
  Fd fd = std::move(fds_[side]);
  if (side == kClient || trust_ == nullptr) {
    if (reset) sockets::resetAtClose(fd);
    return;
  }
  if (!trust_->cooperates) {
    if (reset) sockets::resetAtClose(fd);
    closer::close(std::move(fd));
    return;
  }
  // Another holder may have set SO_LINGER, and then this blocks (socket(7)).
  context_.watchdog.enter();
  if (reset) sockets::resetAtClose(fd);
  fd.reset();
  if (context_.watchdog.leave() && ++trust_->slowCloses > 1) context_.agents.distrust(trust_.get());
}

bool TcpRelay::over() const {
  for (const Way& way : ways_) {
    if (!way.passedOn && !way.broken) return false;
  }
  return true;
}

void TcpRelay::onSideEvents(int side, uint32_t events) {
  if (finished_) return;
  if (!relaying_) {
    finish(true);
    return;
  }
  Way& from = ways_[side];
  Way& to = ways_[1 - side];
  if (from.bulk || to.bulk) context_.loop.bulk().onBulkEvent(this);
  if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) from.readable = true;
  if (events & EPOLLPRI) from.urgent = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) from.hangup = true;
  if ((events & EPOLLRDHUP) && !(events & EPOLLERR)) from.endsInOrder = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) to.writable = true;

  // Its end, or room in its queue, may mean that all was delivered.
  if (gone_ == 1 - side) finishIfDelivered();
  if (finished_) return;
  if (events & EPOLLERR) from.failed = true;
  if ((events & EPOLLERR) && from.endsInOrder) {
    sideIsGone(side);
  } else if (events & EPOLLERR) {
    // A reset that will not be read any more: the other side accepts no data.
    bool stuck = !from.writable && (from.inPipe > 0 || from.restLength > 0);
    if (from.ended || from.broken || stuck) {
      finish(true);
      return;
    }
  }
  if (!finished_) pump(side);
  if (!finished_) pump(1 - side);
}

void TcpRelay::onAgain() {
  if (!finished_) pump(kClient);
  if (!finished_) pump(kChild);
}

void TcpRelay::pump(int source) {
  Way& way = ways_[source];
  uint64_t start = way.moved;
  for (;;) {
    if (flush(source) == Step::wait || finished_) return;
    if (way.broken || way.ended || !way.readable) return;
    if (way.moved - start >= kShare) {
      context_.loop.again(this);
      return;
    }
    Step filled = context_.isLimited ? fillWithin(source, limitsOf(source)) : fill(source);
    if (filled == Step::wait || finished_) return;
  }
}

TcpRelay::Step TcpRelay::flushRest(int source) {
  Way& way = ways_[source];
  int sink = fds_[1 - source].get();
  while (way.restLength > 0) {
    if (!way.writable) return Step::wait;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (way.restIsUrgent ? MSG_OOB : 0);
    ssize_t n = 0;
    bool done = guarded([&] { return n = send(sink, way.rest.get() + way.restAt, way.restLength, flags); });
    if (!done) return Step::wait;
    if (n > 0) {
      way.restAt += uint32_t(n);
      way.restLength -= uint32_t(n);
      count(source, uint64_t(n));
    } else if (errno == EAGAIN) {
      writeRefused(source);
      return Step::wait;
    } else if (errno != EINTR) {
      writeFailed(source);
      return Step::wait;
    }
  }
  way.rest.reset();
  way.restIsUrgent = false;
  return Step::more;
}

// The sink has no room. From now on its events report when it has; an event that was due before is reported at once.
void TcpRelay::writeRefused(int source) {
  int sink = 1 - source;
  ways_[source].writable = false;
  if (ways_[source].bulk) context_.loop.bulk().onStuck();
  if (watchesRoom_[sink]) return;
  watchesRoom_[sink] = true;
  if (!context_.loop.rewatch(kEvents | EPOLLOUT, &handlers_[sink])) finish(true);
}

// Writes what was read; forwards the end of file when nothing is left.
TcpRelay::Step TcpRelay::flush(int source) {
  Way& way = ways_[source];
  int sink = fds_[1 - source].get();
  if (way.inPipe > 0 && flushPipe(source) == Step::wait) return Step::wait;
  if (way.restLength > 0 && flushRest(source) == Step::wait) return Step::wait;

  if (way.wasReset) {
    finish(true, source);
    return Step::wait;
  }
  if (way.ended && !way.passedOn) {
    way.passedOn = true;
    if (gone_ < 0 && over()) {
      // close(2) forwards the end of file as well.
      finish(false);
      return Step::wait;
    }
    shutdown(sink, SHUT_WR);
    if (gone_ >= 0) {
      finishIfDelivered();
      return Step::wait;
    }
  }
  return Step::more;
}

TcpRelay::Step TcpRelay::fill(int source) {
  Way& way = ways_[source];
  if (way.urgent && isAtMark(fds_[source].get())) return takeUrgent(source);
  if (way.bulk && !way.urgent && splices()) {
    way.pipe = context_.pipes.acquire(context_.loop.now());
    if (way.pipe) return fillBySplice(source);
  }
  return fillByRecv(source);
}

TcpRelay::Step TcpRelay::fillWithin(int source, const Limits& limits) {
  if (!limits.areSet()) return fill(source);
  if (!turns_) {
    turns_ = std::make_unique<Turn[]>(2);
    for (int side : {kClient, kChild}) {
      turns_[side].relay = this;
      turns_[side].source = side;
    }
  }
  if (turns_[source].isWaiting()) return Step::wait;
  uint64_t granted = context_.pacer.take(&turns_[source], limits, Context::kBufferSize);
  if (granted == 0) return Step::wait;
  const Way& way = ways_[source];
  uint64_t before = way.moved;
  // A failed write may pump the other direction meanwhile.
  size_t most = std::exchange(most_, granted);
  Step step = fill(source);
  most_ = most;
  uint64_t used = way.moved - before + way.inPipe + way.restLength;
  limits.giveBack(granted - std::min(granted, used));
  return step;
}

void TcpRelay::onTurn(int source) {
  if (!finished_) pump(source);
}

TcpRelay::Step TcpRelay::takeUrgent(int source) {
  Way& way = ways_[source];
  char byte;
  ssize_t n = 0;
  if (!guarded([&] { return n = recv(fds_[source].get(), &byte, 1, MSG_DONTWAIT); })) return Step::wait;
  if (n < 0) {
    readFailed(source, errno);
    return way.wasReset ? Step::more : Step::wait;
  }
  way.urgent = false;
  if (n == 0) {
    endOfFile(source);
    return Step::more;
  }
  way.rest = std::make_unique<char[]>(1);
  way.rest[0] = byte;
  way.restAt = 0;
  way.restLength = 1;
  way.restIsUrgent = true;
  return Step::more;
}

TcpRelay::Step TcpRelay::fillByRecv(int source) {
  Way& way = ways_[source];
  char* buffer = context_.buffer.get();
  // In bulk without a pipe as much as possible; else just enough to detect bulk.
  size_t size = std::min(way.bulk ? Context::kBufferSize : kBulk, most_);
  ssize_t n = 0;
  if (!guarded([&] { return n = recv(fds_[source].get(), buffer, size, MSG_DONTWAIT); })) return Step::wait;
  if (n < 0) {
    if (errno == EINTR) return Step::more;
    readFailed(source, errno);
    return way.wasReset ? Step::more : Step::wait;
  }
  if (n == 0) {
    endOfFile(source);
    return Step::more;
  }
  if (size_t(n) < size) {
    // A stream that returns less than was requested has no more (epoll(7)), except an end of file, or what follows urgent
    // data, where every read stops (tcp(7)).
    if (!way.hangup && !way.urgent) way.readable = false;
    if (way.bulk) {
      context_.loop.bulk().onStuck();
    } else {
      context_.loop.bulk().onMessage();
    }
  } else if (size >= kBulk) {
    way.bulk = true;
  }
  countRead(&way, n);

  size_t at = 0;
  int sink = fds_[1 - source].get();
  while (at < size_t(n) && way.writable) {
    ssize_t sent = 0;
    if (!guarded([&] { return sent = send(sink, buffer + at, size_t(n) - at, MSG_DONTWAIT | MSG_NOSIGNAL); })) {
      return Step::wait;
    }
    if (sent > 0) {
      at += size_t(sent);
    } else if (errno == EAGAIN) {
      writeRefused(source);
    } else if (errno != EINTR) {
      count(source, at);
      writeFailed(source);
      return Step::wait;
    }
  }
  count(source, at);
  if (at < size_t(n)) {
    way.restLength = uint32_t(size_t(n) - at);
    way.restAt = 0;
    way.rest.reset(new char[way.restLength]);
    memcpy(way.rest.get(), buffer + at, way.restLength);
    return Step::wait;
  }
  return Step::more;
}

void TcpRelay::countRead(Way* way, ssize_t n) {
  constexpr uint8_t kSmallReads = 8;
  constexpr ssize_t kSmall = 16 * 1024;
  if (n >= kSmall) {
    way->smallReads = 0;
  } else if (way->bulk && ++way->smallReads >= kSmallReads) {
    way->bulk = false;
    way->smallReads = 0;
  }
}

void TcpRelay::count(int source, uint64_t bytes) {
  ways_[source].moved += bytes;
  context_.loop.bulk().onMoved(bytes);
  auto& total = source == kClient ? counters_.in : counters_.out;
  // One writer: no locked instruction needed.
  total.store(total.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

}  // namespace rn
