// A connection whose client has to show first which name it wants.
//
// Theory of operation. The host has connected, and the client too; nothing is forwarded. What the client has sent is looked
// at and stays in the socket (recv(2), MSG_PEEK), until it shows the name, or cannot any more. Where that takes too long, it
// shows none.
#pragma once
#include <cstdint>
#include <functional>

#include "loop/loop.h"
#include "outbound/flow.h"
#include "policy/peek/first_bytes.h"
#include "system/fd.h"

namespace rn {

class PeekedConnection : public Handler, public DeferredDelete {
 public:
  // Both sockets are valid.
  struct Ends {
    Fd client, host;
    FlowReport flow;
  };
  // Called once, with the ends again; not after end().
  using Done = std::function<void(PeekedConnection* self, Ends ends, const Peeked& peeked)>;

  PeekedConnection(Loop& loop, Ends ends, Done done);
  void begin();
  void onEvents(uint32_t events) override;
  void tick(uint64_t now);
  // Closes both sockets, with a reset.
  void end();

 private:
  static constexpr uint64_t kPatienceMs = 10 * 1000;
  static constexpr size_t kMost = 24 * 1024;

  void finish();

  Loop& loop_;
  Ends ends_;
  Done done_;
  FirstBytes bytes_;
  uint64_t until_;
};

}  // namespace rn
