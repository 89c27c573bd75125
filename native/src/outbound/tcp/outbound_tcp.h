// TCP connections from the namespace to the host and beyond.
//
// Theory of operation. The gateway's listeners accept what held_syns.h has admitted: a connection whose local address is the
// destination that the program wanted (ip(7), IP_TRANSPARENT), or that the kernel has changed the destination port of, and
// remembers it (gateway/gateway.h). It is joined with the host's socket by a TcpRelay, on the
// thread with fewest connections, and stays there. Where a policy needs it, the client shows first which name it wants
// (peeked_connection.h).
//  What is accepted without having been admitted is reset: programs inside
// own the namespace of the gateway, and can send there what they want.
#pragma once
#include <functional>
#include <memory>
#include <unordered_set>
#include <vector>

#include "engine/context.h"
#include "outbound/flow.h"
#include "outbound/tcp/held_syns.h"
#include "outbound/tcp/peeked_connection.h"

namespace rn {

class OutboundConnection;

// The connections of one thread; used there.
struct OutboundPart {
  OutboundPart(Context& of, Context& home, Egress& decides) : context(of), first(home), egress(decides) {}
  Context& context;
  // Of the thread that has the egress.
  Context& first;
  Egress& egress;
  Counters counters;
  std::unordered_set<OutboundConnection*> connections;
  bool closed = false;
};

class OutboundTcp {
 public:
  struct Deps {
    Context& context;
    PacketOut& out;
    Egress& egress;
    FdBudget::Holder& holder;
    // Takes over a connection to the DNS server, and releases its descriptors (HeldSyns::kDescriptors).
    std::function<void(Fd, const Address& client)> serveDns;
  };

  // The listeners of both families; invalid ones for none.
  OutboundTcp(Deps deps, Fd listener4, Fd listener6);
  ~OutboundTcp();
  void onSyn(const Packet& syn) { held_.onSyn(syn); }
  // Of attempts; connections stay.
  void endOf(const Address& client) { held_.endOf(client); }
  void tick();
  void close();
  CounterTotals counters() const;
  // Adds the connections of the calling thread, which that context is of.
  void listFlows(const Context& thread, std::vector<FlowReport>* flows) const;

 private:
  class Listener;

  void accept(Listener* listener);
  void accepted(Fd client, const Address& address);
  void peek(PeekedConnection::Ends ends);
  void relay(PeekedConnection::Ends ends);
  const std::shared_ptr<OutboundPart>& partOf(const Context& thread) const;

  Deps deps_;
  HeldSyns held_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_set<PeekedConnection*> peeked_;
  // One of each thread. Their connections may outlive this object.
  std::vector<std::shared_ptr<OutboundPart>> parts_;
};

}  // namespace rn
