// The ends of a relayed connection: what a side's end of file, reset or silence means for the other side.
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "system/sockets.h"
#include "tcp/tcp_relay.h"

namespace rn {

void TcpRelay::endOfFile(int source) {
  Way& way = ways_[source];
  way.ended = true;
  way.wasReset = way.resetAtEnd;
  if (way.wasReset) return;
  way.endsInOrder = true;
  movedAt_ = context_.loop.now();
  context_.halfClosed.add(this);
  // Both had arrived before this was read.
  if (way.failed && gone_ < 0) sideIsGone(source);
}

void TcpRelay::readFailed(int source, int error) {
  Way& way = ways_[source];
  if (error == EAGAIN) {
    // The event for more data reports a pending mark, too.
    way.readable = way.urgent = false;
    return;
  }
  way.ended = true;
  way.wasReset = true;
}

// The sink is gone. What it sent before can still be read, and is delivered to the source; then the source is reset.
void TcpRelay::writeFailed(int source) {
  Way& way = ways_[source];
  Way& back = ways_[1 - source];
  if (back.endsInOrder) {
    sideIsGone(1 - source);
    return;
  }
  way.broken = true;
  dropPending(&way);
  if (back.ended || back.broken) {
    finish(true);
    return;
  }
  back.readable = true;
  back.hangup = true;
  // The write returned the error; reading ends with an ordinary end of file, which must not be mistaken for an orderly one.
  char byte;
  ssize_t n = recv(fds_[1 - source].get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  back.resetAtEnd = true;
  if (n <= 0) endOfFile(1 - source);
  pump(1 - source);
}

// It accepts nothing any more. What it sent before it ended is complete, and is delivered to the other side.
void TcpRelay::sideIsGone(int side) {
  if (gone_ == 1 - side) {
    // Neither side accepts anything any more.
    finish(true);
    return;
  }
  if (side == kChild && serverIsForgotten()) {
    finish(true, kClient);
    return;
  }
  Way& way = ways_[side];
  Way& back = ways_[1 - side];
  gone_ = side;
  back.broken = true;
  dropPending(&back);
  way.readable = true;
  movedAt_ = context_.loop.now();
  context_.halfClosed.add(this);
  finishIfDelivered();
  if (!finished_) pump(side);
}

// Finishes if the other side's kernel has everything that the side which is gone has sent, and its end of file: then the
// reset loses nothing. Otherwise the next check, or an error of the other side, ends it.
void TcpRelay::finishIfDelivered() {
  int unsent = 0;
  if (!ways_[gone_].passedOn || ioctl(fds_[1 - gone_].get(), SIOCOUTQ, &unsent) != 0 || unsent > 0) return;
  finish(true);
}

void TcpRelay::onCheck(uint64_t now) {
  uint64_t moved = ways_[kClient].moved + ways_[kChild].moved;
  if (moved != movedBefore_) movedAt_ = now;
  movedBefore_ = moved;
  if (gone_ >= 0) finishIfDelivered();
  if (finished_ || !(gone_ >= 0 || ways_[kChild].ended)) return;
  if (now - movedAt_ >= context_.timeouts.halfClosedIdle) {
    // A client that has everything that the server sent loses nothing by an orderly end.
    finish(true, ways_[kChild].passedOn ? kClient : -1);
    return;
  }
  if (gone_ < 0 && ways_[kChild].passedOn && !probing_) probeServer();
}

// Checks whether the server's end still exists.
void TcpRelay::probeServer() {
  probing_ = true;
  sockets::keepAlive(fds_[kChild].get(), int(context_.timeouts.halfClosedProbe / 1000));
}

// Whether the reset was the reply to a probe, and not an action of the server.
bool TcpRelay::serverIsForgotten() const {
  if (!probing_) return false;
  tcp_info info{};
  socklen_t length = sizeof info;
  return getsockopt(fds_[kChild].get(), IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_probes > 0;
}

}  // namespace rn
