// A published port in the engine: its listeners, and what TCP and UDP ports have in common.
#pragma once
#include <atomic>
#include <memory>
#include <vector>

#include "engine/context.h"

namespace rn {

struct PortOptions {
  uint32_t id = 0;
  DialTarget target;
  std::vector<Fd> listeners;
  // TCP: version of the PROXY protocol header that each connection begins with; 0 for none.
  int proxyProtocol = 0;
  // Connections go to this address of the host instead of through the agent; family 0 for none. Such a port is internal:
  // JavaScript does not see it. See bypass.h.
  Address direct;
  // … for as long as the port with this id, whose address it is, is suspended. Otherwise this process would be the
  // listener there, and connections would loop.
  uint32_t owner = 0;
};

// A connection or flow of a port, for reports.
struct PortFlow {
  uint32_t port = 0;
  // IPPROTO_TCP or IPPROTO_UDP.
  uint8_t protocol = 0;
  // As in events.
  uint64_t connection = 0;
  Address client;
  // From the client, and to it.
  uint64_t in = 0, out = 0;
  // In milliseconds.
  uint64_t age = 0;
  FlowState state = FlowState::open;
  SourceSeen source = SourceSeen::unknown;
};

class Port : public FdBudget::Holder, public std::enable_shared_from_this<Port> {
 public:
  Port(Context& context, PortOptions options);
  ~Port() override = default;
  uint32_t id() const { return id_; }
  const Context& context() const { return context_; }
  // Any thread.
  virtual CounterTotals counters() const;
  // Begins to accept connections: open() accounts for the listeners, on the loop's thread; watch() watches them, on any.
  void open();
  void watch();
  // Closes the listeners and every connection. The port may be deleted afterwards, when the round of events is over.
  void close();
  uint32_t owner() const { return ownerId_; }
  void setOwner(std::weak_ptr<Port> owner) { owner_ = std::move(owner); }
  // A duplicate of the listener's descriptor; invalid unless there is exactly one listener.
  Fd listener() const;
  // Stops listening, so that another socket may listen at its address, which stays bound; open connections continue.
  // Returns 0 or an errno.
  int suspend();
  // Listens again after suspend(). Returns 0 or an errno.
  int resume();
  // Stops listening for good, and returns the listener as a program would have made it.
  Fd transfer();
  // A limit of its own, beside that of the stack. Connections that are open are under it, too.
  void setLimit(LimitPair* limit) { limit_.store(limit, std::memory_order_relaxed); }
  // Adds what this thread relays; and the parts of the port on other threads, if it has any.
  void listFlows(std::vector<PortFlow>* flows) const {
    if (!isDirect()) addFlows(flows);
  }
  virtual void listParts(std::vector<std::shared_ptr<Port>>*) const {}
  // Called about every 100 ms, while wantTicks(true).
  void tick() { onTick(); }

 protected:
  class Listener : public Handler {
   public:
    Listener(Port* port, Fd socket) : fd(std::move(socket)), port_(port) {}
    void onEvents(uint32_t) override { port_->onReadable(this); }
    void onStalled() override { port_->onListenerStalled(this); }
    using Handler::progress;
    // Invalid once it has ended.
    Fd fd;

   private:
    Port* port_;
  };

  virtual void onReadable(Listener* listener) = 0;
  // Both return 0 or an errno.
  virtual int stopListening(Listener* listener) = 0;
  virtual int listenAgain(Listener* listener) = 0;
  virtual void onTick() = 0;
  virtual void closeConnections() = 0;
  virtual void addFlows(std::vector<PortFlow>* flows) const = 0;
  // Before a listener is closed, or is used otherwise.
  virtual void onListenersEnd() {}

  // Reports why the port does not accept connections; "" when it does.
  void reportState(const std::string& why);
  // Closes the listener for good, since it cannot be used any more. Connections continue.
  void endListener(Listener* listener, const std::string& why);

  // With 0 clients wait in the kernel's queue.
  void watchListeners(uint32_t events);
  void wantTicks(bool wanted);
  // Begins to get a socket for a connection; returns the id to cancel it by.
  uint32_t dial(Dial* dial, const Address& client, uint32_t attempt);
  bool isDirect() const { return direct_.family() != 0; }
  // Null for none. Any thread.
  LimitPair* ownLimit() const { return limit_.load(std::memory_order_relaxed); }
  // Whether programs inside may hold the listener, too: that of a bypassed server, or one that was transferred.
  bool sharesListener() const { return isDirect() || transferred_; }

  uint32_t id_;
  Context& context_;
  DialTarget target_;
  Address direct_;
  uint32_t ownerId_;
  std::weak_ptr<Port> owner_;
  Counters counters_;
  int proxyProtocol_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  bool closed_ = false;
  bool suspended_ = false;

 private:
  void onListenerStalled(Listener* listener);
  void closeListener(Listener* listener);

  std::atomic<LimitPair*> limit_{nullptr};
  bool transferred_ = false;
  bool wantsTicks_ = false;
  // True from the start on, so that code on the loop's thread may change what is watched.
  bool watched_ = true;
};

}  // namespace rn
