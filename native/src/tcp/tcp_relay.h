// Copies bytes between the two sockets of a connection until both directions have ended.
//
// Theory of operation. Each direction (Way) has a source and a sink, and goes through these states:
//
//   idle      nothing to read (the last read found nothing more); waits for the source's edge
//   moving    reads and writes alternately; never reads before all that was read has been written
//   blocked   the sink accepted no more; what was read stays in a pipe or in `rest`, and nothing is read meanwhile
//   ended     the source's end of file was forwarded, with shutdown(2), or with close(2) if that ends the connection
//   broken    the sink refuses writes; the source is not read any more
//
// Events are edge-triggered, so the state that an edge reported is kept (`readable`, `writable`) until a call fails. A new
// socket accepts writes; room is watched for (EPOLLOUT) from the first write that was refused, so the many connections
// that never fill a queue cost no event for it. The kernel checks the socket when the watch is changed, so room that
// appeared between the refusal and the change is reported, too. The connection is over when both directions have ended or are broken; or at once when a source was reset: what was read
// before is written if the sink accepts it, then the other side is reset too. (A reset means that data may be lost; it may
// overtake data on a direct connection as well.)
//
// A side that ended in order and is reset later is gone, and what it sent is complete: that is delivered before the other
// side is reset. Such resets are common, since the kernel forgets a client that has sent all and closed after a while, and
// then answers keepalive with a reset (tcp(7), tcp_fin_timeout).
//
// If a server has closed its socket and the client does not close, the server's kernel forgets the connection as well
// (tcp_fin_timeout again). A relay cannot see that: a half-closed server is silent, too. So a connection that the server
// has ended is probed on the server's side: with the first reset in reply, the client's side is closed. The client sees
// what it would see without a relay: nothing, until it sends something.
//
// The agent, or an attacker who has taken it over, may hold the child's socket as well, and change its options. So each
// call on it is watched (watchdog.h); if one blocks, the connection ends, and the agent is not trusted from then on
// (AgentTrust).
//
// Urgent data (tcp(7), MSG_OOB) is a byte with a mark. It is forwarded at its place, with its mark: both sockets have it in
// line with the others (SO_OOBINLINE), reads stop before the mark, and the byte there is sent as urgent. As usual only the
// last such byte counts: one that was not read when the next one arrives is an ordinary byte.
//
// Under a rate limit (limit/pacer.h) each read is bounded by what the limit allows; where that is nothing, the direction waits for
// its turn, and is not read meanwhile.
//
// Bytes are moved in one of two ways: with splice(2) through a large pipe, which is fastest for bulk data (see pipe_pool.h
// for when there is no pipe), or with recv(2) and send(2), which is faster for small messages; a direction counts
// as such until a read fills kBulk, and again after some small reads in a row. Whether the loop yields when a direction in
// bulk gets stuck is decided in loop/bulk_yield.h.
#pragma once
#include <errno.h>
#include <sys/epoll.h>
#include <sys/types.h>
#include <cstdint>
#include <memory>

#include "engine/context.h"
#include "system/fd.h"
#include "tcp/half_closed.h"

namespace rn {

class TcpRelay : public DeferredDelete, public HalfClosed::Member {
 public:
  ~TcpRelay() override;

  void onAgain() override;
  void onCheck(uint64_t now) override;
  // Ends it at once; with RST if `reset`, except towards a side that is `gone` by itself. Calls onFinished().
  void finish(bool reset, int gone = -1);

 protected:
  TcpRelay(Context& context, Counters& counters);

  enum Side { kClient = 0, kChild = 1 };

  // The agent that made the child's socket; set before the relay starts. Not for sockets that no other process can hold.
  void setTrust(std::shared_ptr<AgentTrust> trust) { trust_ = std::move(trust); }
  // Before the relay starts: finishes with a reset when the client's connection breaks.
  void watchClient();
  // False where the sockets cannot be watched (no memory, no watches left).
  bool startRelay();
  bool finished() const { return finished_; }
  virtual void onFinished() = 0;
  // Of what is read from that side.
  virtual Limits limitsOf(int source) const = 0;

  uint64_t bytesIn() const { return ways_[kClient].moved; }
  uint64_t bytesOut() const { return ways_[kChild].moved; }
  bool isHalfClosed() const { return ways_[kClient].ended != ways_[kChild].ended; }

  Context& context_;
  Counters& counters_;
  Fd fds_[2];

 private:
  struct Way {
    bool readable = false;     // reading may find something
    bool writable = true;      // a write may succeed
    bool hangup = false;       // end of file or an error comes after what is left to read
    bool endsInOrder = false;  // end of file comes after what is left to read, whatever comes after that
    bool failed = false;       // an error comes after that
    bool ended = false;        // end of file was read
    bool passedOn = false;     // … and forwarded
    bool broken = false;       // the sink is gone
    bool wasReset = false;     // the source was reset
    bool resetAtEnd = false;   // … and what it sent before is still being read
    bool urgent = false;       // urgent data has come, or may have
    bool restIsUrgent = false;
    bool bulk = false;
    uint8_t smallReads = 0;
    uint32_t inPipe = 0;
    uint32_t restAt = 0;
    uint32_t restLength = 0;
    std::unique_ptr<Pipe> pipe;
    std::unique_ptr<char[]> rest;
    uint64_t moved = 0;
  };
  class SideHandler : public Handler {
   public:
    void onEvents(uint32_t events) override { relay->onSideEvents(side, events); }
    TcpRelay* relay = nullptr;
    int side = 0;
  };
  class Turn : public Pacer::Stream {
   public:
    void onTurn() override { relay->onTurn(source); }
    TcpRelay* relay = nullptr;
    int source = 0;
  };
  enum class Step { more, wait };
  static constexpr uint32_t kEvents = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

  void onSideEvents(int side, uint32_t events);
  // Moves as much as possible from `source` to the other side.
  void pump(int source);
  Step flush(int source);
  // From `rest`, or from the pipe.
  Step flushRest(int source);
  Step flushPipe(int source);
  // Moves the pipe's contents to `rest`.
  void emptyPipe(Way* way);
  Step fill(int source);
  Step fillWithin(int source, const Limits& limits);
  void onTurn(int source);
  Step fillBySplice(int source);
  Step fillByRecv(int source);
  // Brackets a call that might block; false if it did: then the connection is over.
  template <typename Call>
  bool guarded(Call call);
  bool splices() const { return !plain_ && (trust_ == nullptr || trust_->cooperates); }
  void closeSide(int side, bool reset);
  Step takeUrgent(int source);
  void endOfFile(int source);
  void readFailed(int source, int error);
  void writeFailed(int source);
  void writeRefused(int source);
  void sideIsGone(int side);
  void finishIfDelivered();
  void probeServer();
  bool serverIsForgotten() const;
  void dropPending(Way* way);
  // Ends a direction's bulk after many small reads in a row.
  void countRead(Way* way, ssize_t n);
  void count(int source, uint64_t bytes);
  bool over() const;

  std::shared_ptr<AgentTrust> trust_;
  SideHandler handlers_[2];
  Way ways_[2];
  // The socket of another protocol than TCP (MPTCP, of a bypassed program), which splice(2) does not support.
  bool plain_ = false;
  bool finished_ = false;
  bool relaying_ = false;
  bool watched_[2] = {false, false};
  // How much a read may take, under a limit.
  size_t most_ = SIZE_MAX;
  // Of both directions; null without a limit.
  std::unique_ptr<Turn[]> turns_;
  // Whether events report room for writes.
  bool watchesRoom_[2] = {false, false};
  // A side that ended in order, and was reset since; -1 for none.
  int gone_ = -1;
  bool probing_ = false;
  // Bytes moved at the last check that found progress, and the time of that check.
  uint64_t movedBefore_ = 0;
  uint64_t movedAt_ = 0;
};

// `call` returns the number of bytes that it moved, or -1 with an errno. It sets errno.
template <typename Call>
bool TcpRelay::guarded(Call call) {
  context_.watchdog.enter();
  bool interrupted = call() < 0 && errno == EINTR;
  if (!context_.watchdog.leave() || !interrupted) return true;
  if (trust_) context_.agents.distrust(trust_.get());
  finish(true);
  return false;
}

}  // namespace rn
