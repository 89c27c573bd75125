// The gateway namespace, seen from the parent: outbound network of the driver builtin.
//
// Theory of operation. The launcher has made a second network namespace, which a veth pair joins to the child's; no process is
// there, only sockets, which all belong to this object (gateway/gateway.h has the rules there). Whatever programs inside send
// to other hosts arrives there, and ends at one of the sockets:
//
//   packets    a packet socket gets a copy of each SYN, and of each echo request (echo.h); the packet filter drops both
//   listeners  accept connections to any address, once their SYN was admitted (tcp/)
//   datagrams  a UDP socket receives datagrams to any address (udp/)
//
// and what programs inside are to receive is sent by another packet socket (frames/packet_out.h), or by a connection. Towards
// the host and beyond, ordinary sockets of this process are used. So no TCP stack but the kernel's is involved, and no other
// process is on the way.
//
// The namespace belongs to the child's user namespace: root inside can send anything there, from any address. Nothing that
// arrives is trusted; where it may lead is decided in destinations.h, by the address that the host will connect to.
//
// It belongs to the engine's first thread, apart from TCP connections, which any thread may relay.
#pragma once
#include <memory>

#include "engine/context.h"
#include "outbound/echo.h"
#include "outbound/egress.h"
#include "outbound/frames/packet_out.h"
#include "outbound/names/name_server.h"
#include "outbound/tcp/outbound_tcp.h"
#include "outbound/udp/outbound_udp.h"
#include "system/fd.h"

namespace rn {

struct GatewayOptions {
  // For connections of published ports (inbound/): the channel of orders, and the name of the child's device.
  Fd orders;
  std::string device;
  // The packet socket for input, the listeners, and the sockets for datagrams; those of IPv6 invalid where there is none.
  Fd packets, tcp4, udp4, tcp6, udp6;
  PacketOut::Options out;
  Destinations::Options destinations;
};

class Gateway : public Handler, public FdBudget::Holder {
 public:
  Gateway(Context& context, GatewayOptions options);
  // Ends everything; it may be deleted when the round of events is over, and all threads are done with what they were given.
  void close();
  void onEvents(uint32_t events) override;
  void tick();
  CounterTotals counters() const;
  // Of the first thread, as all but flows().
  Egress& egress() { return egress_; }
  NameServer& names() { return names_; }
  // As Sources::set() and remove(): what an address began as another source, or as none, does not go on.
  bool setSource(uint32_t id, const std::vector<Address>& addresses, const std::vector<std::string>& policies);
  void removeSource(uint32_t id);
  // Those of the calling thread, which that context is of.
  std::vector<FlowReport> flows(const Context& thread) const;

 private:
  static constexpr int kPacketsAtOnce = 64;
  // The largest that the filter lets pass is an echo request.
  static constexpr size_t kPacket = 65536 + 64;

  void endOf(const std::vector<Address>& clients);
  void onPacket(const Packet& packet);
  void serveDns(Fd connection, const Address& client);
  void answerDns(std::string query, const Address& client, const Address& dns);

  Context& context_;
  Fd packets_;
  PacketOut out_;
  Egress egress_;
  NameServer names_;
  OutboundTcp tcp_;
  OutboundUdp udp_;
  Echo echo_;
};

}  // namespace rn
