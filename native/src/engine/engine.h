// The engine: one loop with the packet channels, and on it either a port forwarder (parent) or a dialer (child).
//
// Functions may be called from any thread; they take effect on the loop's thread, in the order of the calls.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent_link.h"
#include "context.h"
#include "dialer.h"
#include "loop.h"
#include "packet_channel.h"
#include "port.h"

class Engine : public PacketChannel::Owner {
 public:
  // `events` gets its calls on the loop's thread.
  Engine(EventSink& events, std::string congestion);
  ~Engine() override;
  // Closes everything and ends the thread.
  void stop();

  void openChannel(uint32_t channel, Fd fd);
  void closeChannel(uint32_t channel);
  void send(uint32_t channel, std::string data, std::vector<Fd> fds);

  // Parent: the channel whose other end is the agent; 0 for none.
  void setAgent(uint32_t channel);
  void failWaiting(int error, std::string message);
  // The port's counters may be read as long as the pointer is held.
  std::shared_ptr<Port> addPort(PortOptions options);
  void removePort(uint32_t id);
  // Port::listener(), lend(), takeBack() and handOver(); any thread but the loop's, while the engine runs: they wait for it.
  Fd listenerOf(uint32_t id);
  int lendPort(uint32_t id);
  int takeBackPort(uint32_t id);
  Fd handOverPort(uint32_t id);
  // Returns when all that was asked for before is done.
  void settle();
  void watchConnections(bool wanted);

  // Child: the channel whose other end is the parent.
  void serveConnects(uint32_t channel);
  void setPlan(std::string target, std::vector<Address> addresses, bool keepSource);
  void setClient(std::string target, std::string ip, bool keep);
  void forgetPlans();
  void forgetPlan(std::string target);
  void forgetClients();

  void onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) override;
  void onChannelClosed(PacketChannel* channel, const std::string& reason) override;

 private:
  void log(const std::string& text);
  template <typename T>
  T ask(uint32_t id, T (*question)(Port*));

  EventSink& events_;
  Loop loop_;
  AgentLink agents_;
  Context context_;
  Dialer dialer_;
  std::unordered_map<uint32_t, PacketChannel*> channels_;
  std::unordered_map<uint32_t, std::shared_ptr<Port>> ports_;
  uint32_t agentChannel_ = 0;
  uint32_t servedChannel_ = 0;
};
