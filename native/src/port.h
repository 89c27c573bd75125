// A published port, as the engine sees it: its listeners, and what TCP and UDP have in common.
#pragma once
#include <memory>
#include <vector>

#include "context.h"

struct PortOptions {
  uint32_t id = 0;
  DialTarget target;
  std::vector<Fd> listeners;
  // TCP: version of the PROXY protocol that connections begin with; 0 for none.
  int proxyProtocol = 0;
  // Not the agent is asked, but this address of the host is connected to; family 0 for none. JavaScript knows nothing of
  // such a port. See bypass.h.
  Address direct;
  // … for as long as this port is lent, whose address it is. Otherwise it would be we who listen there, and connections
  // would go round.
  uint32_t lender = 0;
};

class Port {
 public:
  Port(Context& context, PortOptions options);
  virtual ~Port() = default;
  uint32_t id() const { return id_; }
  Counters& counters() { return counters_; }
  // Begins to take connections: first accounts for the listeners, on the loop's thread, then watches them, on any.
  void open();
  void watch();
  // Closes the listeners and every connection. The port may be deleted afterwards, when the round of events is over.
  void close();
  uint32_t lender() const { return lenderId_; }
  void setLender(std::weak_ptr<Port> lender) { lender_ = std::move(lender); }
  // A second descriptor of the listener; invalid where there is not just one.
  Fd listener() const;
  // Takes nothing more, so that somebody else may listen at its address; the address stays taken, and connections that
  // are open go on. 0 or an errno.
  int lend();
  // Listens again. 0 or an errno.
  int takeBack();
  // Takes nothing more, for good: the listener as a program would have made it.
  Fd handOver();
  // About every 100 ms, while wantTicks(true).
  void tick() {
    if (wantsTicks_) onTick();
  }

 protected:
  class Listener : public Handler {
   public:
    Listener(Port* port, Fd socket) : fd(std::move(socket)), port_(port) {}
    void onEvents(uint32_t) override { port_->onReadable(this); }
    Fd fd;

   private:
    Port* port_;
  };

  virtual void onReadable(Listener* listener) = 0;
  // 0 or an errno.
  virtual int stopTaking(Listener* listener) = 0;
  virtual int takeAgain(Listener* listener) = 0;
  virtual void onTick() = 0;
  virtual void closeConnections() = 0;

  // 0 for nothing: what comes waits in the kernel.
  void watchListeners(uint32_t events);
  void wantTicks(bool wanted);
  // Begins to get a socket for a connection; the number to cancel it by.
  uint32_t dial(Dial* dial, const Address& client, uint32_t attempt);
  bool isDirect() const { return direct_.family() != 0; }

  uint32_t id_;
  Context& context_;
  DialTarget target_;
  Address direct_;
  uint32_t lenderId_;
  std::weak_ptr<Port> lender_;
  Counters counters_;
  int proxyProtocol_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  bool closed_ = false;
  bool lent_ = false;

 private:
  bool wantsTicks_ = false;
  // From the start on, so that whoever is on the loop's thread may change what is watched.
  bool watched_ = true;
};
