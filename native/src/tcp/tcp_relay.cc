#include "tcp_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "sockets.h"

namespace {
// A way that fills a read of this size is in bulk …
constexpr size_t kBulk = 64 * 1024;
// … until this many reads in a row bring less than kSmall.
constexpr uint8_t kSmallReads = 8;
constexpr ssize_t kSmall = 16 * 1024;
// What one way may move before the others get their turn.
constexpr uint64_t kShare = 8 << 20;
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
  // Errors and hang-ups are always told (epoll_ctl(2)); a mere end of file may be a client that waits for its answer.
  if (!watched_[kClient]) watched_[kClient] = context_.loop.watch(fds_[kClient].get(), 0, &handlers_[kClient]);
}

bool TcpRelay::startRelay() {
  constexpr uint32_t kEvents = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  relaying_ = true;
  for (int side : {kClient, kChild}) {
    bool done = watched_[side] ? context_.loop.rewatch(fds_[side].get(), kEvents, &handlers_[side])
                               : context_.loop.watch(fds_[side].get(), kEvents, &handlers_[side]);
    if (!done) return false;
    watched_[side] = true;
  }
  return true;
}

void TcpRelay::finish(bool reset, int gone) {
  if (finished_) return;
  finished_ = true;
  for (int side : {kClient, kChild}) {
    // Not left to close(2): somebody else may hold the socket too (the agent the child's; a fork of this process both,
    // until it execs), and then the watch would outlive us.
    if (watched_[side]) context_.loop.unwatch(fds_[side].get());
    if (reset && side != gone) {
      sockets::closeWithReset(std::move(fds_[side]));
    } else {
      // Whoever else held the child's socket may have set SO_LINGER, and then this waits (socket(7)).
      context_.watchdog.enter();
      fds_[side].reset();
      context_.watchdog.leave();
    }
  }
  for (Way& way : ways_) dropPending(&way);
  onFinished();
  context_.loop.bury(this);
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
  if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) from.readable = true;
  if (events & EPOLLPRI) from.urgent = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) from.hangup = true;
  if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) to.writable = true;

  if (events & EPOLLERR) {
    // A reset that nobody will read any more: this side had ended before, or the other one takes no data.
    bool stuck = !ways_[side].writable && (from.inPipe > 0 || from.restLength > 0);
    if (from.ended || from.broken || stuck) {
      finish(true);
      return;
    }
  }
  pump(side);
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
    if (fill(source) == Step::wait || finished_) return;
  }
}

// Writes what was read; passes the end on when there is nothing left.
TcpRelay::Step TcpRelay::flush(int source) {
  Way& way = ways_[source];
  int sink = fds_[1 - source].get();
  while (way.inPipe > 0) {
    if (!way.writable) return Step::wait;
    context_.watchdog.enter();
    ssize_t n = splice(way.pipe->read.get(), nullptr, sink, nullptr, way.inPipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    int error = errno;
    context_.watchdog.leave();
    if (n > 0) {
      way.inPipe -= uint32_t(n);
      count(source, uint64_t(n));
      continue;
    }
    if (n < 0 && error == EAGAIN) {
      way.writable = false;
      return Step::wait;
    }
    if (n < 0 && error == EINTR) {
      // Only the watchdog interrupts this thread.
      finish(true);
      return Step::wait;
    }
    writeFailed(source);
    return Step::wait;
  }
  if (way.pipe) context_.pipes.give(std::move(way.pipe));

  while (way.restLength > 0) {
    if (!way.writable) return Step::wait;
    ssize_t n = send(sink, way.rest.get() + way.restAt, way.restLength, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
      way.restAt += uint32_t(n);
      way.restLength -= uint32_t(n);
      count(source, uint64_t(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      way.writable = false;
      return Step::wait;
    }
    writeFailed(source);
    return Step::wait;
  }
  way.rest.reset();

  if (way.wasReset) {
    finish(true, source);
    return Step::wait;
  }
  if (way.ended && !way.passedOn) {
    way.passedOn = true;
    shutdown(sink, SHUT_WR);
    if (over()) {
      finish(false);
      return Step::wait;
    }
  }
  return Step::more;
}

TcpRelay::Step TcpRelay::fill(int source) {
  Way& way = ways_[source];
  if (way.bulk && !way.urgent) {
    way.pipe = context_.pipes.take(context_.loop.now());
    if (way.pipe) return fillBySplice(source);
  }
  return fillByRecv(source);
}

TcpRelay::Step TcpRelay::fillBySplice(int source) {
  Way& way = ways_[source];
  context_.watchdog.enter();
  ssize_t n = splice(fds_[source].get(), nullptr, way.pipe->write.get(), nullptr, PipePool::kPipeSize,
                     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  int error = errno;
  context_.watchdog.leave();
  if (n > 0) {
    way.inPipe = uint32_t(n);
    if (n >= kSmall) {
      way.smallReads = 0;
    } else if (++way.smallReads >= kSmallReads) {
      way.bulk = false;
      way.smallReads = 0;
    }
    return Step::more;
  }
  context_.pipes.give(std::move(way.pipe));
  if (n == 0) {
    endOfFile(&way);
    return Step::more;
  }
  if (error == EINTR) {
    finish(true);
    return Step::wait;
  }
  readFailed(source, error);
  return way.wasReset ? Step::more : Step::wait;
}

TcpRelay::Step TcpRelay::fillByRecv(int source) {
  Way& way = ways_[source];
  char* buffer = context_.buffer.get();
  // In bulk without a pipe as much as there is; else just enough to notice bulk.
  size_t size = way.bulk ? Context::kBufferSize : kBulk;
  ssize_t n = recv(fds_[source].get(), buffer, size, MSG_DONTWAIT);
  if (n < 0) {
    if (errno == EINTR) return Step::more;
    readFailed(source, errno);
    return way.wasReset ? Step::more : Step::wait;
  }
  if (n == 0) {
    endOfFile(&way);
    return Step::more;
  }
  if (size_t(n) < size) {
    // A stream that gives less than was asked for has no more (epoll(7)), but the end may come behind it, or what
    // follows urgent data, at which every read stops (tcp(7)).
    if (!way.hangup && !way.urgent) way.readable = false;
    if (way.bulk && n < kSmall && ++way.smallReads >= kSmallReads) {
      way.bulk = false;
      way.smallReads = 0;
    }
  } else {
    way.bulk = true;
    way.smallReads = 0;
  }

  size_t at = 0;
  int sink = fds_[1 - source].get();
  while (at < size_t(n) && way.writable) {
    ssize_t sent = send(sink, buffer + at, size_t(n) - at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      at += size_t(sent);
    } else if (errno == EAGAIN) {
      way.writable = false;
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

void TcpRelay::endOfFile(Way* way) {
  way->ended = true;
  way->wasReset = way->resetAtEnd;
}

void TcpRelay::readFailed(int source, int error) {
  Way& way = ways_[source];
  if (error == EAGAIN) {
    way.readable = false;
    return;
  }
  way.ended = true;
  way.wasReset = true;
}

// The sink is gone. What it sent before can still be read, and goes to the source; then the source is reset.
void TcpRelay::writeFailed(int source) {
  Way& way = ways_[source];
  Way& back = ways_[1 - source];
  way.broken = true;
  dropPending(&way);
  if (back.ended || back.broken) {
    finish(true);
    return;
  }
  back.readable = true;
  back.hangup = true;
  // The error was told to the write; reading ends with a plain end of file, which must not pass for an orderly one.
  char byte;
  ssize_t n = recv(fds_[1 - source].get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  back.resetAtEnd = true;
  if (n <= 0) endOfFile(&back);
  pump(1 - source);
}

void TcpRelay::dropPending(Way* way) {
  if (way->pipe) {
    if (way->inPipe > 0) {
      context_.pipes.discard(std::move(way->pipe));
    } else {
      context_.pipes.give(std::move(way->pipe));
    }
  }
  way->inPipe = 0;
  way->rest.reset();
  way->restLength = 0;
}

void TcpRelay::count(int source, uint64_t bytes) {
  ways_[source].moved += bytes;
  auto& total = source == kClient ? counters_.in : counters_.out;
  // One writer: no locked instruction needed.
  total.store(total.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}
