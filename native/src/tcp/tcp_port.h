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
  using Port::Port;

 protected:
  void onReadable(Listener* listener) override;
  int stopTaking(Listener* listener) override;
  int takeAgain(Listener* listener) override;
  void onTick() override;
  void closeConnections() override;

 private:
  friend class TcpConnection;

  void pause(const char* why);
  void resume();
  void tellState(const char* why);
  void updateTicks() { wantTicks(paused_ || !waiting_.empty()); }

  std::unordered_set<TcpConnection*> connections_;
  std::vector<TcpConnection*> waiting_;
  bool paused_ = false;
};
