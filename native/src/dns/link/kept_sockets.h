// Sockets of the agent's DNS servers that the parent keeps for the next agent, so that queries wait in them meanwhile, and are
// not refused. The parent does nothing with them: they come from the untrusted side.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "connect/packet_channel.h"
#include "system/fd.h"

namespace rn {

class KeptSockets {
 public:
  // A packet of the agent's channel. False where it is invalid.
  bool onPacket(std::string_view packet, std::vector<Fd>* fds);
  // Gives a new agent all of them.
  void giveTo(PacketChannel* channel) const;
  ~KeptSockets();

 private:
  // Networks have up to four. Those beyond are bound anew.
  static constexpr size_t kMost = 128;

  std::map<std::string, Fd> sockets_;
};

}  // namespace rn
