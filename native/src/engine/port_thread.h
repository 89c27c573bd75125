// A thread of the engine: its loop, its link to the agent, and the ports whose listeners it has.
//
// Theory of operation. Nothing of a thread is used by another one: a connection or a flow stays on the thread that relays
// it, with its pipes, its watchdog and its requests to the agent. The first thread speaks to the agent on the channel that
// JavaScript has made; for each other one the engine makes one more, and sends its end to the agent on that channel. The
// agent has one thread for all of them. When such a channel ends, or brings an invalid packet, the agent is replaced.
//
// A port's listeners are on one thread, its home, by the port's number; so addresses are bound once, and without
// SO_REUSEPORT. TCP connections are handed to the thread with fewest (tcp_port.h); a UDP port stays on its home.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "connect/agent_link.h"
#include "connect/packet_channel.h"
#include "engine/context.h"
#include "engine/port.h"
#include "loop/loop.h"

namespace rn {

struct EngineOptions {
  // See Context.
  std::string congestion;
  Timeouts timeouts;
  // At least 1.
  uint64_t threads = 1;
  // Whether all listeners are on the first thread, as the port driver bypass needs it.
  bool oneHome = false;
};

class PortThread : public PacketChannel::Owner {
 public:
  // The agent of that channel number has to be replaced.
  using AgentLost = std::function<void(uint32_t agent, const std::string& reason)>;

  // `log` and `lost` are called on this thread.
  PortThread(EventSink& events, Shared& shared, const EngineOptions& options,
             const std::function<void(const std::string&)>& log, AgentLost lost);

  Loop& loop() { return loop_; }
  AgentLink& agents() { return agents_; }
  Context& context() { return context_; }

  // Any thread; in the order of the calls.
  void add(const std::vector<std::shared_ptr<Port>>& ports);
  // Closes the ports with `count` ids from `first` on, and calls `done` on this thread.
  void remove(uint32_t first, uint32_t count, std::function<void()> done);
  // Another channel to the agent whose own one has that number; without a descriptor there is no agent any more.
  void setAgent(uint32_t agent, Fd fd, std::shared_ptr<AgentTrust> trust);

  // This thread only. Null where its home is another one.
  Port* find(uint32_t id);
  // Adds what ports that have their home here relay here, and their parts on other threads.
  void listFlows(std::vector<PortFlow>* flows, std::vector<std::shared_ptr<Port>>* parts) const;
  void closeAll();

  void onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) override;
  void onChannelClosed(PacketChannel* channel, const std::string& reason) override;

 private:
  void tick();
  void close(uint32_t first, uint32_t count, uint32_t done, const std::shared_ptr<std::function<void()>>& then);

  Loop loop_;
  AgentLink agents_;
  Context context_;
  AgentLost lost_;
  // To the agent; null on the first thread.
  PacketChannel* channel_ = nullptr;
  std::unordered_map<uint32_t, std::shared_ptr<Port>> ports_;
};

}  // namespace rn
