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
};

class Port {
 public:
  Port(Context& context, PortOptions options);
  virtual ~Port() = default;
  uint32_t id() const { return id_; }
  Counters& counters() { return counters_; }
  // Begins to take connections.
  void open();
  // Closes the listeners and every connection. The port may be deleted afterwards, when the round of events is over.
  void close();
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
  virtual void onTick() = 0;
  virtual void closeConnections() = 0;

  // 0 for nothing: what comes waits in the kernel.
  void watchListeners(uint32_t events);
  void wantTicks(bool wanted);

  uint32_t id_;
  Context& context_;
  DialTarget target_;
  Counters counters_;
  int proxyProtocol_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  bool closed_ = false;

 private:
  bool wantsTicks_ = false;
  bool watched_ = false;
};
