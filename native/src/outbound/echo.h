// Echo requests of programs inside (ping(8)), by sockets of the host that may send nothing else (icmp(7), SOCK_DGRAM).
//
// Requests of one program to one destination share a socket. The kernel gives each socket an identifier of its own; replies
// return with the program's, and their sequence numbers. What leads to the host itself is answered here. Where the host does
// not permit its users such sockets (net.ipv4.ping_group_range) there is no answer.
#pragma once
#include <list>
#include <unordered_map>

#include "engine/context.h"
#include "outbound/egress.h"
#include "outbound/four_tuple.h"
#include "outbound/frames/packet.h"
#include "outbound/frames/packet_out.h"

namespace rn {

class EchoFlow;

class Echo : public FdBudget::Holder {
 public:
  struct Deps {
    Context& context;
    PacketOut& out;
    Egress& egress;
  };

  explicit Echo(Deps deps) : deps_(deps) {}
  // Any ICMP packet; others than requests are ignored.
  void onPacket(const Packet& packet);
  // Ends the flows of a client.
  void endOf(const Address& client);
  bool evictOne() override;
  void tick();
  void close();

 private:
  friend class EchoFlow;

  static constexpr size_t kMaxFlows = 256;

  // Null where there can be none.
  EchoFlow* flowFor(const Packet& request, const Destination& destination);
  void remove(EchoFlow* flow);

  Deps deps_;
  // By the program's address with its identifier as port, and the destination that it asked for.
  std::unordered_map<FourTuple, EchoFlow*, FourTuple::Hash> flows_;
  // The one that was idle for longest first.
  std::list<EchoFlow*> byUse_;
  uint64_t nextScan_ = 0;
  bool hasComplained_ = false;
};

}  // namespace rn
