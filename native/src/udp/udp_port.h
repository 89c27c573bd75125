// A published UDP port: a flow for each client, with a connected socket in the child.
//
// Theory of operation. A flow (udp_flow.h) is one client's address together with the host's address that it sent to. Its
// first datagrams are kept (kept_datagrams.h) until the agent's socket is there, and until the first reply as well,
// because a refusal (ICMP port unreachable, seen as ECONNREFUSED) only comes after a send: then the agent is asked for
// the next address of its dial rule, and the datagrams are sent again. Kernels limit the rate of such refusals
// (icmp(7), icmp_ratelimit: one a second to each client). So one counts for all flows of that client's family: those
// without an answer yet move to the next address as well, and flows that begin within a second begin with that address.
//
// With a socket of the gateway namespace (inbound/) a refusal leads to the agent's first address.
//
// A flow ends after some time without a datagram in either direction: soon if it was one question and its answer. When
// the table is full, or descriptors are used up (fd_budget.h), the flow that was idle for longest is evicted; flows with
// more than one answer only when there are no others, so that a flood of questions does not end long conversations. A
// flow that waits for the agent is not evicted, but no more are begun then: the first ones would never be served
// otherwise.
//
// Datagrams are read in batches. Those of each flow in a batch are sent together, in their order, whether or not others
// came in between: a run of equal-sized ones leaves as one sendmsg with UDP_SEGMENT (udp(7)), and what came coalesced
// (UDP_GRO) leaves coalesced. Replies leave from the host's address that the client sent to (IP_PKTINFO).
#pragma once
#include <list>
#include <unordered_map>
#include <vector>

#include "engine/port.h"
#include "system/sockets.h"

namespace rn {

class UdpFlow;

class UdpPort : public Port {
 public:
  UdpPort(Context& context, PortOptions options);
  bool evictOne() override;

 protected:
  void onReadable(Listener* listener) override;
  int stopListening(Listener* listener) override;
  int listenAgain(Listener* listener) override;
  void onTick() override;
  void closeConnections() override;
  void addFlows(std::vector<PortFlow>* flows) const override;
  void onListenersEnd() override;

 private:
  friend class UdpFlow;

  // The client's address and port, and the host's address that it sent to; IPv4 as v4-mapped.
  struct Key {
    unsigned char bytes[34];
    bool operator==(const Key& o) const;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };

  // Where new flows of clients of one family begin (0 for IPv4, 1 for IPv6): the attempt that a refusal led to, until that
  // time.
  struct Hint {
    uint32_t attempt = 0;
    uint64_t until = 0;
  };

  uint32_t firstAttempt(const Address& client) const;
  // Moves flows of that family on to the next address that have no answer from that attempt yet.
  void advanceFlows(int family, uint32_t attempt);
  // A server refuses what comes through the gateway namespace: flows without an answer go through the agent.
  void leaveGateway(int family);
  UdpFlow* flowFor(Listener* listener, const Address& client, const in6_addr& asked);
  void remove(UdpFlow* flow);

  std::unordered_map<Key, UdpFlow*, KeyHash> flows_;
  // All flows, by what is to be evicted first (dialing ones never); in each list the one that was idle for longest first.
  std::list<UdpFlow*> dialing_, young_, streams_;
  uint64_t nextScan_ = 0;
  Hint hints_[2];
  // Those whose addresses its server may send from.
  std::vector<int> sources_;
};

}  // namespace rn
