// The parent's end of the queries that the agent's DNS server passes on (name_wire.h).
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
#include "system/sockets.h"

namespace rn {

class AgentQueries {
 public:
  using Done = std::function<void(std::string reply)>;
  // Calls `done` once, possibly before it returns.
  using Ask = std::function<void(std::string query, const Address& client, bool tcp, Done done)>;

  explicit AgentQueries(Ask ask) : ask_(std::move(ask)) {}
  // A packet of the agent's channel. False where it is invalid.
  bool onPacket(PacketChannel* channel, std::string_view packet);
  // That channel is not used any more.
  void forget();

 private:
  static constexpr size_t kMaxWaiting = 1024;
  static constexpr size_t kMaxBacklog = 4096;

  // Of one agent.
  struct Agent {
    PacketChannel* channel;
    size_t waiting = 0;
  };

  Ask ask_;
  std::shared_ptr<Agent> agent_;
};

}  // namespace rn
