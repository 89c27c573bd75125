// A connection or a flow out of the namespace, for reports.
#pragma once
#include <cstdint>
#include <string>

#include "system/sockets.h"

namespace rn {

struct FlowReport {
  // IPPROTO_TCP or IPPROTO_UDP.
  uint8_t protocol = 0;
  // Inside: the program's address, and the one that it connected to.
  Address client, destination;
  // On the host: what the destination led to.
  Address host;
  // Under which the destination was looked up, or which the program asked for; "" where that is unknown.
  std::string name;
  // From the program, and to it.
  uint64_t sent = 0, received = 0;
  // In milliseconds.
  uint64_t age = 0;
};

}  // namespace rn
