// The parent's end of what the agent's DNS servers send (name_wire.h): queries to pass on, and sockets to keep.
//
// Theory of operation. The agent is hostile. At most kMaxWaiting of its queries wait for an answer; more fail at once. It may
// leave its replies unread: while more than kMaxBacklog packets wait for it, its queries are dropped. Replies to an agent that
// was replaced meanwhile are dropped, too. Whether a query may be asked at all is decided by what `ask` calls, by the address
// of the client; the agent is believed what that is, since it could send from any address as well.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "connect/packet_channel.h"
#include "dns/link/kept_sockets.h"
#include "system/sockets.h"

namespace rn {

class AgentQueries {
 public:
  using Done = std::function<void(std::string reply)>;
  // Calls `done` once, possibly before it returns.
  using Ask = std::function<void(std::string query, const Address& client, bool tcp, Done done)>;

  explicit AgentQueries(Ask ask) : ask_(std::move(ask)) {}
  // A packet of the agent's channel. False where it is invalid.
  bool onPacket(PacketChannel* channel, std::string_view packet, std::vector<Fd>* fds);
  // There is another agent; null for none. Nothing is sent to the one before any more.
  void setChannel(PacketChannel* channel);

 private:
  static constexpr size_t kMaxWaiting = 1024;
  static constexpr size_t kMaxBacklog = 4096;

  // Of one agent.
  struct Agent {
    PacketChannel* channel;
    size_t waiting = 0;
  };

  Ask ask_;
  KeptSockets sockets_;
  std::shared_ptr<Agent> agent_;
};

}  // namespace rn
