// What all parts of an engine share.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "agent_link.h"
#include "loop.h"
#include "pipe_pool.h"
#include "watchdog.h"

// Something that JavaScript is told of.
struct Event {
  enum class Kind {
    message,            // id: channel; data: packet; fds
    channelClosed,      // id: channel; text: reason
    planWanted,         // data: key
    clientWanted,       // data: key; text: the client's address
    portClosed,         // id: port
    bypassEnded,        // id: port
    portState,          // id: port; text: why it waits, "" when it listens
    connectionOpened,   // id: port; connection; text: client
    connectionRefused,  // id: port; connection; text: client; reason
    connectionClosed,   // id: port; connection; in; out
    log,                // text
  };
  Kind kind;
  uint32_t id = 0;
  uint64_t connection = 0;
  uint64_t in = 0;
  uint64_t out = 0;
  std::string text;
  std::string data;
  std::vector<int> fds;
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Loop's thread.
  virtual void emit(Event event) = 0;
};

// Counters of one port; written on the loop's thread, read anywhere.
struct Counters {
  std::atomic<uint64_t> open{0};
  std::atomic<uint64_t> opened{0};
  std::atomic<uint64_t> refused{0};
  std::atomic<uint64_t> in{0};
  std::atomic<uint64_t> out{0};
  // Of clients that are not on loopback: whose address the server sees, and whose it does not.
  std::atomic<uint64_t> sourceKept{0};
  std::atomic<uint64_t> sourceHidden{0};

  // `child` is the socket towards the server.
  void countSource(const Address& client, int child);
};

// Keeps some descriptors free for everything else in the process (the API above all, which has to be able to say that
// there are none), so that a flood of connections cannot take the last ones.
class FdBudget {
 public:
  FdBudget();
  // Whether there is room for one more connection.
  bool hasRoom(uint64_t wanted) const { return used_ + wanted <= limit_; }
  void take(uint64_t n) { used_ += n; }
  void give(uint64_t n) { used_ -= n; }

 private:
  uint64_t limit_;
  uint64_t used_ = 0;
};

struct Context {
  Loop& loop;
  AgentLink& agents;
  EventSink& events;
  // Preferred congestion control for loopback sockets, "" to leave it alone; see sockets.h.
  std::string congestion;
  bool watchConnections = false;
  uint64_t nextConnection = 1;
  FdBudget fds;
  PipePool pipes;
  Watchdog watchdog;
  // For recv and send; one at a time uses it, and never across a return to the loop.
  static constexpr size_t kBufferSize = 512 * 1024;
  std::unique_ptr<char[]> buffer{new char[kBufferSize]};
};
