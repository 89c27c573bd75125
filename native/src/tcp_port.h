// A published TCP port: listens, asks the agent for a socket for each connection, and relays between the two.
//
// Theory of operation. A connection is dialing (the agent was asked; the client's socket is not watched), waiting (there
// were no descriptors for the child's socket; asked again at the next tick, at most kMaxWaits times), relaying, or gone.
// When accept(2) finds no free descriptors, or the budget is used up, the listeners are not watched until a tick finds
// room again: connections wait in the kernel's backlog, and the port says so.
#pragma once
#include <unordered_set>
#include <vector>

#include "port.h"
#include "tcp_relay.h"

class TcpConnection;

class TcpPort : public Port {
 public:
  TcpPort(Context& context, PortOptions options);
  ~TcpPort() override;

  void open() override;
  void close() override;
  void onTick() override;

 private:
  friend class TcpConnection;

  class Listener : public Handler {
   public:
    void onEvents(uint32_t) override { port->accept(this); }
    TcpPort* port = nullptr;
    Fd fd;
  };

  void accept(Listener* listener);
  void pause(const char* why);
  void resume();
  void wantTicks(bool wanted);
  void updateTicks() { wantTicks(paused_ || !waiting_.empty()); }

  Context& context_;
  DialTarget target_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_set<TcpConnection*> connections_;
  std::vector<TcpConnection*> waiting_;
  bool paused_ = false;
  bool wantsTicks_ = false;
  bool closed_ = false;
};
