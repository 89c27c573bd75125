// UDP from the namespace to the host and beyond.
//
// Theory of operation. One socket of each family in the gateway receives the datagrams to all destinations (ip(7),
// IP_TRANSPARENT, IP_RECVORIGDSTADDR). They are read in batches, and each belongs to a flow: an address and port inside
// together with the destination that was asked for. A flow (outbound_flow.h) has a connected socket of the host
// (host_sources.h), by which its datagrams leave, runs of equal-sized ones together, as those of published ports do
// (udp/udp_port.h). What comes back is sent to the child in frames that are made here (frames/udp_out.h), since the gateway's
// sockets could send from one address only.
//
// Errors of the network, and refusals, reach the program as the ICMP message that it would get from its own network.
//
// A flow ends after some time without a datagram in either direction. Where the table is full, or descriptors are used up
// (fd_budget.h), the flow that was idle for longest is evicted; flows with more than one answer only when there are no
// others, so that a flood of questions, or of datagrams from forged sources, does not end long conversations.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/context.h"
#include "outbound/egress.h"
#include "outbound/flow.h"
#include "outbound/four_tuple.h"
#include "outbound/frames/packet_out.h"
#include "outbound/frames/udp_out.h"
#include "outbound/udp/host_sources.h"
#include "udp/udp_batch.h"

namespace rn {

class OutboundFlow;

class OutboundUdp : public FdBudget::Holder {
 public:
  struct Deps {
    Context& context;
    PacketOut& out;
    Egress& egress;
    // Answers a datagram to the DNS server with send().
    std::function<void(const std::string& query, const Address& client, const Address& dns)> onDnsQuery;
  };

  // The sockets of both families; invalid ones for none.
  OutboundUdp(Deps deps, Fd datagrams4, Fd datagrams6);
  ~OutboundUdp() override;
  // A datagram to a program inside.
  void send(const Address& from, const Address& to, std::string_view datagram);
  // Ends the flows of a client.
  void endOf(const Address& client);
  bool evictOne() override;
  void tick();
  void close();
  const Counters& counters() const { return counters_; }
  void listFlows(std::vector<FlowReport>* flows) const;

 private:
  // Of a datagram of that length; see PacketOut::unreachable().
  struct Refusal {
    size_t length;
    int error;
    bool soft = false;
  };
  friend class OutboundFlow;
  class Listener;

  // Each source inside may need a port of the host, of which there are some 28,000 (net.ipv4.ip_local_port_range).
  static constexpr size_t kMaxFlows = 8 * 1024;

  // Null where the datagram is not forwarded.
  OutboundFlow* flowFor(const UdpBatch::Message& message);
  OutboundFlow* makeFlow(const Address& client, const Address& asked, const Destination& destination, size_t length);
  void answerDns(const UdpBatch::Message& message, const Address& dns);
  void refuse(const Address& client, const Address& asked, const Refusal& refusal);
  void remove(OutboundFlow* flow);
  template <typename Wanted>
  void endAll(Wanted wanted);
  // Ends the flows that send from where that port inside is published.
  void endPublished(uint16_t inside);

  Deps deps_;
  UdpOut out_;
  HostSources sources_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::unordered_map<FourTuple, OutboundFlow*, FourTuple::Hash> flows_;
  // All flows, by what is to be evicted first; in each list the one that was idle for longest first.
  std::list<OutboundFlow*> young_, streams_;
  uint64_t nextScan_ = 0;
  Counters counters_;
};

}  // namespace rn
