// What all parts of an engine share.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "connect/agent_link.h"
#include "connect/packet_channel.h"
#include "engine/fd_budget.h"
#include "limit/limit_book.h"
#include "limit/pacer.h"
#include "loop/loop.h"
#include "loop/watchdog.h"
#include "tcp/half_closed.h"
#include "tcp/pipe_pool.h"
#include "udp/published_sources.h"

namespace rn {

struct FlowReport;

// An event that is reported to JavaScript.
struct Event {
  enum class Kind {
    message,            // id: channel; data: packet; fds
    channelClosed,      // id: channel; text: reason
    planWanted,         // data: key
    clientWanted,       // data: key; text: the client's address
    portClosed,         // id: port
    bypassEnded,        // id: port
    portState,          // id: port; text: why it does not accept, "" when it does
    connectionOpened,   // id: port; connection; text: client
    connectionRefused,  // id: port; connection; text: client; reason
    connectionClosed,   // id: port; connection; in; out
    outboundOpened,     // flow
    outboundClosed,     // flow
    addressesChanged,   // of this network namespace
    egressDenied,  // id: IP protocol, 0 for a name; connection: rule, -1 for the default; text: client; data: what, reason
    log,           // text
    dnsQuery,  // id: network; text: client; data: name; in: type; connection: who has answered; out: ms; missed before it
    dnsAnswer,  // id; data: message; connection: who has answered, see dns::Origin
  };
  Kind kind;
  uint32_t id = 0;
  uint64_t connection = 0;
  uint64_t in = 0;
  uint64_t out = 0;
  uint64_t missed = 0;
  std::string text;
  std::string data;
  std::vector<int> fds;
  std::shared_ptr<const FlowReport> flow;
  // Of a message: its channel's account; Engine::handled() settles it when the message has been handled.
  std::shared_ptr<Unread> unread;
};

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Any thread.
  virtual void emit(Event event) = 0;
};

// Why a connection was refused: no server there, no way to it, a limit of descriptors or memory, the agent, anything else.
enum class Refusal : uint8_t { noServer, unreachable, limit, agent, other };
constexpr size_t kRefusals = 5;
Refusal refusalOf(int error);

// What a connection or flow is doing: its other side is connected; both directions are open; one has ended; a UDP server
// has not answered.
enum class FlowState : uint8_t { connecting, open, halfClosed, unanswered };

// Whether a server sees the client's address; unknown for clients on loopback, which have no other one.
enum class SourceSeen : uint8_t { unknown, kept, hidden };

struct CounterTotals {
  uint64_t open = 0, opened = 0, refused = 0, in = 0, out = 0, sourceKept = 0, sourceHidden = 0;
  uint64_t refusedBy[kRefusals] = {};
};

// Counters of one port on one thread; written there, read anywhere.
struct Counters {
  std::atomic<uint64_t> open{0};
  std::atomic<uint64_t> opened{0};
  std::atomic<uint64_t> refused{0};
  std::atomic<uint64_t> in{0};
  std::atomic<uint64_t> out{0};
  // Clients that are not on loopback: with an address that the server sees, and without.
  std::atomic<uint64_t> sourceKept{0};
  std::atomic<uint64_t> sourceHidden{0};
  // Of those that were refused.
  std::atomic<uint64_t> refusedBy[kRefusals]{};

  // `child` is the socket towards the server.
  SourceSeen countSource(const Address& client, int child);
  // With the errno of the last attempt.
  void countRefusal(int error);
  void addTo(CounterTotals* totals) const;
};

// How long things may last, in milliseconds. Tests have shorter ones.
struct Timeouts {
  // Between two checks of a half-closed connection.
  uint64_t halfClosedCheck = 10 * 1000;
  // Until a connection that the server has ended is probed on the server's side; in whole seconds.
  uint64_t halfClosedProbe = 30 * 1000;
  // Without a byte, until a connection that the server has ended, and the client has not, is closed.
  uint64_t halfClosedIdle = 60 * 60 * 1000;
  // Of a UDP flow, since its last datagram: one with a question and its answer, one without an answer, and any other.
  // Connection tracking, which UDP protocols cope with, has 30 and 120 seconds (net.netfilter.nf_conntrack_udp_timeout).
  uint64_t udpAnswered = 30 * 1000;  // a SIP server may answer "100 Trying" long before the next message
  uint64_t udpUnanswered = 30 * 1000;
  uint64_t udpStream = 90 * 1000;
};

class Port;
struct Context;

// What all threads of an engine share.
struct Shared {
  FdBudget::Total fds;
  std::atomic<uint64_t> nextConnection{1};
  // Bytes, see kept_datagrams.h.
  std::atomic<size_t> keptDatagrams{0};
  PublishedSources publishedSources;
  LimitBook limits;
  LimitPair& limitOfStack = limits.of(LimitBook::kOfStack);
  // Of each thread; complete before there are ports.
  std::vector<Context*> threads;

  // The thread that relays fewest connections; `own` where no other has fewer.
  Context& leastLoaded(Context& own) const;
};

// Of one thread; used on that thread, unless noted.
struct Context {
  Loop& loop;
  AgentLink& agents;
  EventSink& events;
  Shared& shared;
  Timeouts timeouts;
  // Preferred congestion control for loopback sockets, "" to leave it alone; see sockets.h.
  std::string congestion;
  // Logs a line for users.
  std::function<void(const std::string&)> log;
  // Of how many threads this is one.
  size_t threads;
  // Connections and flows that this thread relays, those that are on their way to it included. Any thread.
  std::atomic<uint32_t> load{0};
  bool watchConnections = false;
  // Whether there is any limit; otherwise nothing is asked of the pacer. Any thread.
  std::atomic<bool> isLimited{false};
  Pacer pacer{loop};
  FdBudget fds{shared.fds};
  // Ports whose tick() is wanted.
  std::unordered_set<Port*> ticking;
  HalfClosed halfClosed{loop, timeouts.halfClosedCheck};
  PipePool pipes{threads};
  Watchdog watchdog;
  // For recv and send; used by one at a time, and never across a return to the loop.
  static constexpr size_t kBufferSize = 512 * 1024;
  std::unique_ptr<char[]> buffer{new char[kBufferSize]};
};

}  // namespace rn
