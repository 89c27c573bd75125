// One flow of a published UDP port: a client's address together with the host's address that it sent to, with a connected
// socket in the child. See udp_port.h for the theory of operation.
#pragma once
#include <list>
#include <string>
#include <string_view>

#include "connect/agent_link.h"
#include "loop/loop.h"
#include "udp/conversation.h"
#include "udp/kept_datagrams.h"
#include "udp/taken_messages.h"
#include "udp/udp_batch.h"
#include "udp/udp_port.h"

namespace rn {

// Index of the client's address family: 0 for IPv4 (v4-mapped addresses too), 1 for IPv6.
int familyIndex(const Address& client);

class UdpFlow : public Handler, public DeferredDelete, public Dial {
 public:
  struct Ends {
    // What the port finds the flow by: both addresses.
    UdpPort::Key key;
    Address client;
    // The host's address that the client sends to.
    in6_addr asked;
  };

  UdpFlow(UdpPort* port, UdpPort::Listener* listener, const Ends& ends);

  // Chains a message of the batch, which came from the client, behind those that were taken before. Returns whether it is
  // the first.
  bool take(int message) { return taken_.take(sharedBatch(), message); }
  // Sends what was taken. Messages of clients that take turns leave together, too.
  void forwardTaken();

  void onDialed(Fd fd) override;
  void onDialFailed(int error, std::string_view message) override;
  void onEvents(uint32_t events) override;
  void onStalled() override;

  // Returns false when the flow has expired.
  bool tick(uint64_t now);
  // Closes it and reports that; it is deleted at the end of the round.
  void end();

  // Puts the flow into the port's eviction lists, and takes it out.
  void link();
  void unlink() { list_->erase(place_); }

  const UdpPort::Key& key() const { return key_; }
  // Whether it has sent to that attempt and has neither an answer nor a refusal yet.
  bool isUnsettled(int family, uint32_t attempt) const {
    return isUnsettled(family) && !throughGateway && attempt_ == attempt;
  }
  // … where it was made in the gateway namespace.
  bool isUnsettledThroughGateway(int family) const { return isUnsettled(family) && throughGateway; }
  void tryNextAddress();
  // Tries the same address again, which may be reached another way now.
  void dialAgain();
  bool isRefused() const { return state_ == State::refused; }
  PortFlow flow() const;

 private:
  enum class State { dialing, open, refused };

  bool isUnsettled(int family) const { return state_ == State::open && !settled_ && familyIndex(client_) == family; }

  // Sends n messages of the chain from `start` on.
  void forward(int start, int n);
  // In use: makes it the last of its list to be evicted.
  void touch();
  void dial();
  void keep(int start, int n);
  void settle();
  void sendReplies(int n);
  void sendKept();
  // `error` is the result of the last send: a refusal is reported once, by whichever call on the socket comes next.
  void checkForRefusal(int error);
  // No server there. One refusal is enough for all flows of this kind.
  void onRefused();
  // The server is gone. It may come back on another address of the dial rule.
  void restart();
  void refuse(uint64_t forMs, int error, std::string reason);
  void closeChild();
  void report(Event::Kind kind, std::string reason);

  UdpPort* port_;
  UdpPort::Listener* listener_;
  UdpPort::Key key_;
  Address client_;
  in6_addr asked_;
  uint64_t number_ = 0;
  Fd child_;
  State state_ = State::dialing;
  uint32_t dialId_ = 0;
  uint32_t attempt_ = 0;
  // The attempt that it began with, where that was not the first.
  uint32_t hinted_ = 0;
  // There was an answer, or no refusal for a while: the address is right.
  bool settled_ = false;
  // … but it refuses now.
  bool lost_ = false;
  bool reported_ = false;
  SourceSeen source_ = SourceSeen::unknown;
  KeptDatagrams kept_;
  std::list<UdpFlow*>* list_ = nullptr;
  std::list<UdpFlow*>::iterator place_;
  // Of the present batch.
  TakenMessages taken_;
  Conversation conversation_;
  uint64_t begunAt_ = 0;
  uint64_t openedAt_ = 0;
  uint64_t forgetAt_ = 0;
  uint64_t in_ = 0;
  uint64_t out_ = 0;
};

}  // namespace rn
