// The datagrams of a program inside between one address of its own and one destination, which has a connected socket of the
// host. See outbound_udp.h for the theory of operation.
#pragma once
#include <list>

#include "limit/limit_book.h"
#include "loop/loop.h"
#include "outbound/four_tuple.h"
#include "outbound/udp/host_sources.h"
#include "outbound/udp/outbound_udp.h"
#include "udp/conversation.h"
#include "udp/taken_messages.h"

namespace rn {

class OutboundFlow : public Handler, public DeferredDelete {
 public:
  struct Ends {
    Address client;
    // What the program sends to, and where that is on the host.
    Address asked;
    Address destination;
  };

  OutboundFlow(OutboundUdp* all, const Ends& ends, HostSources::Socket host);

  // As UdpFlow's.
  bool take(int message) { return taken_.take(sharedBatch(), message); }
  void forwardTaken();

  void onEvents(uint32_t events) override;

  bool isOver(uint64_t now) const;
  FlowReport report() const;
  // Closes it; it is deleted at the end of the round.
  void end();

  // Puts the flow into the eviction lists, and takes it out.
  void link();
  void unlink() { list_->erase(place_); }

  FourTuple key() const { return {ends_.client, ends_.asked}; }
  // Whether it sends from where its client's port is published.
  bool isPublished() const { return host_.isPublished; }
  const Address& client() const { return ends_.client; }

 private:
  void forward(int start, int n);
  void sendReplies(int n);
  // Returns how many errors of the network there were; the program is sent each.
  int reportErrors();
  void refused(int error);
  // In use: makes it the last of its list to be evicted.
  void touch();

  OutboundUdp* all_;
  Ends ends_;
  HostSources::Socket host_;
  // That of the program's container, or null.
  LimitPair* limit_;
  Conversation conversation_;
  // Of the present batch.
  TakenMessages taken_;
  // As FlowReport::connection.
  uint64_t number_;
  uint64_t begunAt_;
  // In bytes.
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  // What the program sent last, for errors.
  size_t lastLength_ = 0;
  std::list<OutboundFlow*>* list_ = nullptr;
  std::list<OutboundFlow*>::iterator place_;
};

}  // namespace rn
