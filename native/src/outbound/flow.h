// A connection or a flow out of the namespace, for reports.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "engine/context.h"
#include "system/sockets.h"

namespace rn {

struct FlowReport {
  // IPPROTO_TCP or IPPROTO_UDP.
  uint8_t protocol = 0;
  // Counts from 1, over all connections of the engine.
  uint64_t connection = 0;
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
  FlowState state = FlowState::open;
};

// Emits an event of the flow, where these are wanted.
inline void reportFlow(const Context& context, Event::Kind kind, FlowReport flow) {
  if (!context.watchConnections) return;
  Event event{kind};
  event.flow = std::make_shared<const FlowReport>(std::move(flow));
  context.events.emit(std::move(event));
}

}  // namespace rn
