// A published TCP port: listens, asks the agent for a socket for each connection, and relays between the two.
//
// Theory of operation. A connection is dialing (the agent was asked; the client's socket is not watched), waiting (there
// were no descriptors for the child's socket; retried at the next tick, at most kMaxWaits times), relaying, or finished.
// When accept(2) finds no free descriptors, or the budget is used up, the listeners are not watched until a tick finds
// room again: connections wait in the kernel's backlog, and the port reports that.
//
// With several threads, the thread that has the listeners (the port's home) hands each connection that it has accepted to
// the thread with fewest, where it stays. Of each other thread the port has a part: a TcpPort without listeners, made when
// the first connection is handed over. The parts' connections count as the home's in the budget of descriptors; a part
// without descriptors pauses the home. A part is closed by a task after the last connection that was handed to it, and the
// home exists until then.
#pragma once
#include <memory>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "engine/port.h"
#include "tcp/tcp_relay.h"

namespace rn {

class TcpConnection;

class TcpPort : public Port {
 public:
  using Port::Port;
  CounterTotals counters() const override;
  void listParts(std::vector<std::shared_ptr<Port>>* parts) const override;

 protected:
  void onReadable(Listener* listener) override;
  int stopListening(Listener* listener) override;
  int listenAgain(Listener* listener) override;
  void onTick() override;
  void closeConnections() override;
  void addFlows(std::vector<PortFlow>* flows) const override;

 private:
  friend class TcpConnection;

  // Passes a new connection to a thread.
  void accepted(Fd client, const Address& address);
  // On the thread that relays it.
  void serve(Fd client, const Address& address);
  std::shared_ptr<TcpPort> partOn(const Context& context);
  void pauseAccepting(const char* why);
  void resumeAccepting();
  void updateTicks() { wantTicks(paused_ || !waiting_.empty()); }

  std::unordered_set<TcpConnection*> connections_;
  std::vector<TcpConnection*> waiting_;
  bool paused_ = false;
  // Of a part.
  TcpPort* home_ = nullptr;
  // Of a home: set once, on its thread; others read with the mutex.
  mutable std::mutex partsMutex_;
  std::unique_ptr<std::vector<std::shared_ptr<TcpPort>>> parts_;
};

}  // namespace rn
