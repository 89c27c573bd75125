// The parent's side of requesting sockets from the agent.
//
// Theory of operation. request() gives a dial an id and queues it. At most kInFlight requests are with the agent at once
// (the kernel limits the number of descriptors in flight, unix(7) ETOOMANYREFS); the others wait here. TCP and UDP have a
// queue each, and a share of that limit (as each thread has), so that a flood of datagrams from new clients delays no
// connection. A request that the agent reports as pending does not count: a server that hangs must not delay the others. While there is no agent (it
// starts, or it is being restarted) all requests wait; when a new one is there, requests that the old one did not answer
// are sent again. An answer ends a dial: with a descriptor that was checked, or with an errno. Several answers may come as
// one packet.
//
// Time is limited: kMaxAnswerSeconds for the first answer to a request, kMaxConnectSeconds for its end. Seconds are counted
// in ticks of this thread, and not read from a clock: time in which the whole stack was stopped does not count.
//
// TCP connections are made without the agent where the pool has what they need (pool/pooled_dials.h). With the network driver
// builtin, other ones and flows of UDP are made in the gateway namespace where that can be (inbound/inbound_dials.h). Only the
// rest are requested. What the pool needs of the agent is requested with them.
//
// The agent is not trusted: what it sends must be a connected TCP socket, or a connected datagram (UDP) socket, of the right
// family, with the requested port as its peer's.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "connect/packet_channel.h"
#include "connect/wire.h"
#include "inbound/inbound_dials.h"
#include "loop/loop.h"
#include "pool/pooled_dials.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

// Whether an agent is trusted, by all threads of the engine. It may still hold the sockets which it has sent, and so can
// make calls on them block that should not (see watchdog.h). Once one has, such calls are avoided for all of its sockets:
// bytes are moved with recv and send with MSG_DONTWAIT, and sockets are closed on another thread (closer.h).
struct AgentTrust {
  std::atomic<bool> cooperates{true};
  // Closes that took too long: a single one may be due to the machine.
  std::atomic<int> slowCloses{0};
};

class Dial {
 public:
  virtual ~Dial() = default;
  // Connecting takes longer; onDialed() or onDialFailed() follows.
  virtual void onDialPending() {}
  virtual void onDialed(Fd fd) = 0;
  virtual void onDialFailed(int error, std::string_view message) = 0;
  // Where it was made when onDialed() is called: in the gateway namespace, or in the child's.
  bool throughGateway = false;
};

class AgentLink : private ParentDials::Owner {
 public:
  // `threads` is how many links share what may be in flight.
  AgentLink(Loop& loop, size_t threads, std::function<void(const std::string&)> log)
      : loop_(loop), threads_(threads), log_(std::move(log)), pooled_(loop, *this, log_), inbound_(loop, *this, log_) {}

  // Without it there is no pool.
  void usePool(Watchdog* watchdog, FdBudget* budget, const std::string& congestion) {
    pooled_.use(watchdog, budget, threads_, congestion);
    inbound_.use(watchdog, budget, threads_);
  }
  // Connections of published ports may be made in that namespace, until endGateway().
  void useGateway(InboundDials::Network network) { inbound_.begin(std::move(network)); }
  void endGateway() { inbound_.end(); }
  // A server refuses what comes through the gateway namespace.
  void gatewayRefused(const DialTarget& target) { inbound_.refused(target); }
  // Null while there is no agent; else with the trust in it, which all links to it share.
  void setChannel(PacketChannel* channel, const std::shared_ptr<AgentTrust>& trust = nullptr);
  // Sends the requests since the last call as one packet. Called at the end of each round of events.
  void flush();
  // Returns the id to cancel it by; 0 if it is connected already.
  uint32_t request(Dial* dial, const DialTarget* target, const Address& source, uint32_t attempt);
  void cancel(uint32_t id);
  // Ends every dial that waits for the agent.
  void failAll(int error, const std::string& message);
  // A data-plane packet from the agent. False where it is invalid.
  bool onPacket(std::string_view packet, std::vector<Fd> fds, bool lostFds);
  // The last port with that target is gone.
  void forget(const std::string& target) { pooled_.forget(target); }
  // No more connections without the agent.
  void endPool() {
    pooled_.end();
    inbound_.end();
  }

  // Called about every 100 ms, as long as there are requests.
  void tick();

  // Of the current agent.
  const std::shared_ptr<AgentTrust>& trust() const { return trust_; }
  // A call on a socket of that agent blocked.
  void distrust(AgentTrust* trust);

 private:
  enum Queue { kTcp = 0, kUdp = 1 };
  static constexpr size_t kInFlight[] = {384, 128};
  static constexpr size_t kMaxOutgoing = 8 * 1024;
  static constexpr int kTicksPerSecond = 10;
  static constexpr int kMaxAnswerSeconds = 10;
  // More than the kernel takes until it gives up (tcp(7), tcp_syn_retries).
  static constexpr int kMaxConnectSeconds = 180;

  enum class Maker { agent, pool, gateway };
  struct Entry {
    Dial* dial;
    const DialTarget* target;
    Address source;
    uint32_t attempt;
    Maker maker = Maker::agent;
    bool sent = false;
    bool inFlight = false;
    // Since it was sent.
    int seconds = 0;
  };

  // Ends the dial, and moves from *fd if it is the requested socket.
  void handleAnswer(const wire::Answer& answer, Fd* fd, bool lostFds);
  bool handleAnswers(std::string_view packet, std::vector<Fd>* fds, bool lostFds);
  void sendMore();
  void sendMore(Queue queue);
  void noLongerInFlight(Entry* entry);
  void countSecond(uint32_t id);
  void enqueue(uint32_t id, const DialTarget* target);
  void cancelOwn(uint32_t id, const Entry& entry);
  static void hand(Dial* dial, Fd fd, Maker maker);
  void onMade(uint32_t id, Fd fd) override;
  void onBlocked() override;
  static Queue queueOf(const DialTarget* target) { return target->type == SOCK_STREAM ? kTcp : kUdp; }

  Loop& loop_;
  size_t threads_;
  std::function<void(const std::string&)> log_;
  PacketChannel* channel_ = nullptr;
  std::shared_ptr<AgentTrust> trust_ = std::make_shared<AgentTrust>();
  PooledDials pooled_;
  InboundDials inbound_;
  std::string outgoing_;
  std::unordered_map<uint32_t, Entry> dials_;
  std::deque<uint32_t> queues_[2];
  size_t inFlight_[2] = {0, 0};
  uint32_t nextId_ = 1;
  bool ticks_ = false;
  int tick_ = 0;
};

}  // namespace rn
