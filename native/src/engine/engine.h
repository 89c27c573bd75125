// The engine: one loop with the packet channels, and on it either a port forwarder (parent) or a dialer (child).
//
// Functions may be called from any thread; they take effect on the loop's thread, in the order of the calls.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "connect/address_watch.h"
#include "connect/agent_link.h"
#include "connect/dialer.h"
#include "connect/packet_channel.h"
#include "engine/context.h"
#include "engine/port.h"
#include "loop/loop.h"

namespace rn {

class Engine : public PacketChannel::Owner {
 public:
  // `events` is called on the loop's thread.
  Engine(EventSink& events, const std::string& congestion, Timeouts timeouts = {});
  ~Engine() override;
  // Closes everything and ends the thread.
  void stop();

  void openChannel(uint32_t id, Fd fd);
  void closeChannel(uint32_t id);
  void send(uint32_t id, std::string data, std::vector<Fd> fds);
  // Any thread: a message of `bytes` was handled, so that reading its channel may continue.
  void handled(const std::shared_ptr<Unread>& unread, size_t bytes);

  // Parent: the channel whose other end is the agent; 0 for none.
  void setAgent(uint32_t id);
  void failWaiting(int error, std::string message);
  // The port's counters may be read as long as the pointer is held.
  std::shared_ptr<Port> addPort(PortOptions options);
  // A range: `first` with its first listener, and the others with the following ids and ports of the child.
  std::vector<std::shared_ptr<Port>> addPorts(const PortOptions& first, std::vector<Fd> listeners);
  // The ports with `count` ids from `first` on. One event portClosed follows.
  void removePorts(uint32_t first, uint32_t count);
  // Port::listener(), suspend(), resume() and transfer(); any thread but the loop's, while the engine runs: they block.
  Fd listenerOf(uint32_t id);
  int suspendPort(uint32_t id);
  int resumePort(uint32_t id);
  Fd transferPort(uint32_t id);
  // Returns when all earlier requests are done.
  void settle();
  void watchConnections(bool wanted);
  // Parent: restricts the loop's thread, which needs no files, and no TCP connections unless it `connects`; see confine.h.
  void confine(bool connects);
  // Reports changes of this namespace's addresses, and of `routes` and rules too, until the engine ends. If that fails,
  // `complaint` is logged, unless it is empty.
  void watchAddresses(bool routes, std::string complaint);

  // Child: the channel whose other end is the parent.
  void serveConnects(uint32_t id);
  void setPlan(std::string target, std::vector<Address> addresses, bool keepSource, Fd netns);
  void setClient(std::string target, std::string ip, bool keep, uint32_t mark);
  // Child: ReturnPaths::takeOver().
  void takeOverPaths(uint32_t mark);
  void forgetPlans();
  void forgetPlan(std::string target);

  void onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) override;
  void onChannelClosed(PacketChannel* channel, const std::string& reason) override;

 private:
  void log(const std::string& text);
  std::shared_ptr<Port> makePort(PortOptions options);
  // Loop's thread.
  void open(const std::shared_ptr<Port>& port);
  void closePorts(uint32_t first, uint32_t count, uint32_t done);
  template <typename T>
  T ask(uint32_t id, T (*question)(Port*));

  EventSink& events_;
  Loop loop_;
  AgentLink agents_;
  Context context_;
  ReturnPaths paths_;
  Dialer dialer_;
  std::unordered_map<uint32_t, PacketChannel*> channels_;
  std::unordered_map<uint32_t, std::shared_ptr<Port>> ports_;
  AddressWatch* addressWatch_ = nullptr;
  uint32_t agentChannel_ = 0;
  uint32_t servedChannel_ = 0;
};

}  // namespace rn
