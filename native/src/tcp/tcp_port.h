// A published TCP port: listens, asks the agent for a socket for each connection, and relays between the two.
//
// Theory of operation. A connection is dialing (the agent was asked; the client's socket is not watched), waiting (there
// were no descriptors for the child's socket; retried at the next tick, at most kMaxWaits times), relaying, or finished.
// When accept(2) finds no free descriptors, or the budget is used up, the listeners are not watched until a tick finds
// room again: connections wait in the kernel's backlog, and the port reports that.
#pragma once
#include <unordered_set>
#include <vector>

#include "engine/port.h"
#include "tcp/tcp_relay.h"

namespace rn {

class TcpConnection;

class TcpPort : public Port {
 public:
  using Port::Port;

 protected:
  void onReadable(Listener* listener) override;
  int stopListening(Listener* listener) override;
  int listenAgain(Listener* listener) override;
  void onTick() override;
  void closeConnections() override;

 private:
  friend class TcpConnection;

  void pauseAccepting(const char* why);
  void resumeAccepting();
  void updateTicks() { wantTicks(paused_ || !waiting_.empty()); }

  std::unordered_set<TcpConnection*> connections_;
  std::vector<TcpConnection*> waiting_;
  bool paused_ = false;
};

}  // namespace rn
