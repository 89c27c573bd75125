// Copies between the two sockets of a connection, as they are, until both ends are done.
//
// Theory of operation. Each way has a source and a sink, and goes through these states:
//
//   idle      nothing to read (the last read found nothing more); waits for the source's edge
//   moving    reads and writes by turns; never reads before all that was read has been written
//   blocked   the sink took no more; what was read stays in a pipe or in `rest_`, and nothing is read meanwhile
//   ended     the source's end of file was passed on with shutdown(2)
//   broken    the sink refuses writes; the source is not read any more
//
// Events are edge-triggered, so what an edge said is remembered (`readable`, `writable`) until a call says otherwise.
// The connection is over when both ways have ended or are broken; or at once when a source was reset: what was read
// before is written if the sink takes it, then the other side is reset too. (A reset says that data may be lost; it
// may overtake data on a direct connection as well.)
//
// Bytes move in one of two manners. splice(2) through a large pipe is fastest for bulk (see pipe_pool.h for when there
// are none), recv(2) and send(2) for small messages, of which a way is taken to consist until a read fills kBulk.
#pragma once
#include <cstdint>
#include <memory>

#include "context.h"
#include "fd.h"

class TcpRelay : public Buriable {
 public:
  ~TcpRelay() override;

  void onAgain() override;
  // Ends it at once; with RST if `reset`, but for a side that is `gone` by itself. Calls onFinished().
  void finish(bool reset, int gone = -1);

 protected:
  TcpRelay(Context& context, Counters& counters);

  enum Side { kClient = 0, kChild = 1 };

  // Before the relay starts: finishes with a reset when the client's connection breaks.
  void watchClient();
  // False where the sockets cannot be watched (no memory, no watches left).
  bool startRelay();
  bool finished() const { return finished_; }
  virtual void onFinished() = 0;

  uint64_t bytesIn() const { return ways_[kClient].moved; }
  uint64_t bytesOut() const { return ways_[kChild].moved; }

  Context& context_;
  Counters& counters_;
  Fd fds_[2];

 private:
  struct Way {
    bool readable = false;   // reading may find something
    bool writable = true;    // writing may be taken
    bool hangup = false;     // end of file or an error comes after what is left to read
    bool ended = false;      // end of file was read
    bool passedOn = false;   // … and passed on
    bool broken = false;     // the sink is gone
    bool wasReset = false;   // the source was reset
    bool resetAtEnd = false; // … and what it sent before is still being read
    bool urgent = false;     // urgent data has come: reads stop short at it, and splice(2) does not get past it
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
  enum class Step { more, wait };

  void onSideEvents(int side, uint32_t events);
  // Moves what can be moved from `source` to the other side.
  void pump(int source);
  Step flush(int source);
  Step fill(int source);
  Step fillBySplice(int source);
  Step fillByRecv(int source);
  void endOfFile(Way* way);
  void readFailed(int source, int error);
  void writeFailed(int source);
  void dropPending(Way* way);
  void count(int source, uint64_t bytes);
  bool over() const;

  SideHandler handlers_[2];
  Way ways_[2];
  bool finished_ = false;
  bool relaying_ = false;
  bool watched_[2] = {false, false};
};
