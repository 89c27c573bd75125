// A published UDP port: a flow for each client, with a connected socket in the child.
//
// Theory of operation. A flow is one client's address together with the host's address that it asked. Its first
// datagrams are kept (at most kKept) until the agent's socket is there; they are kept until the first reply as well,
// because a refusal (ICMP port unreachable, seen as ECONNREFUSED) only comes after a send: then the agent is asked for
// the next address of its dial rule, and the datagrams are sent again. A flow ends after kIdleMs without a datagram in
// either direction, or when the table is full and it is the one that was quiet for longest.
//
// Datagrams are read in batches. A run of equal-sized datagrams of one flow leaves as one sendmsg with UDP_SEGMENT
// (udp(7)); what came coalesced (UDP_GRO) leaves coalesced. Replies leave from the host's address that was asked
// (IP_PKTINFO).
#pragma once
#include <list>
#include <unordered_map>
#include <vector>

#include "port.h"
#include "sockets.h"

class UdpFlow;

class UdpPort : public Port {
 public:
  using Port::Port;

 protected:
  void onReadable(Listener* listener) override;
  int stopTaking(Listener* listener) override;
  int takeAgain(Listener* listener) override;
  void onTick() override;
  void closeConnections() override;

 private:
  friend class UdpFlow;

  // The client's address and port, and the host's address that it asked; IPv4 as v4-mapped.
  struct Key {
    unsigned char bytes[34];
    bool operator==(const Key& o) const;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };

  UdpFlow* flowFor(Listener* listener, const Address& client, const in6_addr& asked);
  void remove(UdpFlow* flow);

  std::unordered_map<Key, UdpFlow*, KeyHash> flows_;
  // The quiet ones first.
  std::list<UdpFlow*> byUse_;
  uint64_t nextScan_ = 0;
};
