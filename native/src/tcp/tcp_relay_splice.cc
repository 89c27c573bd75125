// Relaying through a pipe.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <algorithm>

#include "tcp/tcp_relay.h"

namespace rn {

TcpRelay::Step TcpRelay::flushPipe(int source) {
  Way& way = ways_[source];
  int sink = fds_[1 - source].get();
  while (way.inPipe > 0) {
    if (!way.writable) return Step::wait;
    if (!splices()) {
      emptyPipe(&way);
      break;
    }
    ssize_t n = 0;
    bool done = guarded([&] {
      n = splice(way.pipe->read.get(), nullptr, sink, nullptr, way.inPipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      return n;
    });
    if (!done) return Step::wait;
    if (n > 0) {
      way.inPipe -= uint32_t(n);
      count(source, uint64_t(n));
    } else if (n < 0 && errno == EAGAIN) {
      writeRefused(source);
      return Step::wait;
    } else if (n == 0 || errno != EINTR) {
      writeFailed(source);
      return Step::wait;
    }
  }
  if (way.pipe) context_.pipes.release(std::move(way.pipe));
  return Step::more;
}

void TcpRelay::emptyPipe(Way* way) {
  way->rest.reset(new char[way->inPipe]);
  way->restAt = 0;
  way->restLength = 0;
  // No other process has the pipe, so it holds as much as was put in.
  while (way->restLength < way->inPipe) {
    ssize_t n = read(way->pipe->read.get(), way->rest.get() + way->restLength, way->inPipe - way->restLength);
    if (n == 0 || (n < 0 && errno != EINTR)) break;
    if (n > 0) way->restLength += uint32_t(n);
  }
  way->inPipe = 0;
}

TcpRelay::Step TcpRelay::fillBySplice(int source) {
  Way& way = ways_[source];
  ssize_t n = 0;
  size_t size = std::min<size_t>(context_.loop.bulk().portion(way.pipe->size), most_);
  bool done = guarded([&] {
    n = splice(fds_[source].get(), nullptr, way.pipe->write.get(), nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    return n;
  });
  if (!done) return Step::wait;
  int error = errno;
  if (n > 0) {
    way.inPipe = uint32_t(n);
    countRead(&way, n);
    return Step::more;
  }
  context_.pipes.release(std::move(way.pipe));
  if (n == 0) {
    // Before urgent data that the end of file follows, splice(2) returns 0 as well.
    way.urgent = true;
    return fill(source);
  }
  if (error == EAGAIN) context_.loop.bulk().onStuck();
  if (error == EINVAL) plain_ = true;
  if (error == EINTR || error == EINVAL) return Step::more;
  readFailed(source, error);
  return way.wasReset ? Step::more : Step::wait;
}

void TcpRelay::dropPending(Way* way) {
  if (way->pipe) {
    if (way->inPipe > 0) {
      context_.pipes.discard(std::move(way->pipe));
    } else {
      context_.pipes.release(std::move(way->pipe));
    }
  }
  way->inPipe = 0;
  way->rest.reset();
  way->restLength = 0;
}

}  // namespace rn
