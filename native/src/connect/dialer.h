// The agent's side: makes the sockets that the parent requests, in the child's network namespace.
//
// Theory of operation. A request's plan has the addresses to try, in order, each with the request's port. Plans come from
// the dial rule, in JavaScript; the first request for a target asks for its plan (onPlanWanted), and requests for it wait
// until setPlan(). From then on no JavaScript runs. A TCP request tries the addresses from number `attempt` on until one accepts; a UDP request uses
// address number `attempt` (only sending shows whether there is a server, so the parent requests the next one).
// connect(2) to a local address is complete when the call returns, or when it is called again; only other connects are
// watched.
//
// Addresses of the client's own family come first: the server then sees an address of that family, and the client reaches
// the server that it would reach without a relay.
//
// With `keepSource` in a plan the server sees the client's own address: the socket is bound to it (ip(7), IP_TRANSPARENT).
// Replies only come back where routes lead them here, so the first request of each client asks for that
// (onClientWanted), and waits until setClient(); loopback clients are not changed. A client whose address cannot be kept is
// requested again after a second. The mark of setClient() routes TCP replies back; each UDP flow has a path of its own as
// well (return_paths.h).
//
// A plan may name the network namespace of a container that cannot be reached from this one: its sockets are made there.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "connect/wire.h"
#include "loop/loop.h"
#include "return_path/return_paths.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

class Dialer {
 public:
  // `reply` sends a packet on the channel of that number, if it still exists: a request may outlive its channel.
  using Reply = std::function<void(uint32_t channel, std::string data, std::vector<Fd> fds)>;
  using PlanWanted = std::function<void(const std::string& target)>;
  using ClientWanted = std::function<void(const std::string& target, const std::string& ip)>;

  struct Options {
    // Congestion control of TCP sockets.
    std::string congestion;
    PlanWanted onPlanWanted;
    ClientWanted onClientWanted;
    Reply reply;
  };

  Dialer(Loop& loop, ReturnPaths& paths, Options options) : loop_(loop), paths_(paths), options_(std::move(options)) {}

  // False where the packet is not a request.
  bool onPacket(uint32_t channel, std::string_view packet);
  // `netns` is the network namespace that sockets are made in; invalid for this one.
  void setPlan(const std::string& target, std::vector<Address> addresses, bool keepSource, Fd netns);
  // Whether servers of that target see that client's address, and the mark of the sockets (SO_MARK) where the servers are
  // in this namespace; 0 elsewhere.
  void setClient(const std::string& target, const std::string& ip, bool keep, uint32_t mark);
  // Forgets all plans, and what is known of clients: requests ask again, those that wait included. Results of earlier
  // queries must not be set afterwards.
  void forgetPlans();
  // Forgets the plan of a port that is gone.
  void forgetPlan(const std::string& target);
  // Sends the answers since the last call. Called at the end of each round of events.
  void flush();

 private:
  friend class PendingConnect;

  struct Request {
    uint32_t channel;
    uint32_t id;
    int type;
    uint16_t port;
    uint32_t attempt;
    Address source;
    // Whether the socket is bound to the source.
    bool keepSource = false;
    uint32_t mark = 0;
    std::shared_ptr<Fd> netns = nullptr;
  };
  struct Client {
    bool keep;
    uint32_t mark;
    // The time (Loop::now()) from which on it is requested again; 0 for never.
    uint64_t until;
  };
  struct Plan {
    bool known = false;
    bool keepSource = false;
    // Null if sockets are made in this namespace.
    std::shared_ptr<Fd> netns;
    std::vector<Address> addresses;
    // The same, with those of that family first.
    std::vector<Address> v4First, v6First;
    std::vector<Request> waiting;
    std::unordered_map<std::string, Client> clients;
    std::unordered_map<std::string, std::vector<Request>> waitingClients;

    // Whether no request waits for an answer of JavaScript.
    bool idle() const { return known && waitingClients.empty(); }
  };

  void take(uint32_t channel, const wire::ConnectRequest& in);
  void serve(const std::string& target, Request request, Plan& plan);
  void dial(const Request& request, const std::vector<Address>& addresses);
  // A socket that is connecting to the address; errno is the result of connect(2): 0, EINPROGRESS, or the error.
  Fd open(const Request& request, const Address& to, bool keepSource);
  // Continues with the address at `index`; `lastError` is the result of the one before it.
  void connectFrom(const Request& request, const std::vector<Address>& addresses, size_t index, int lastError);
  void sendAnswer(uint32_t channel, const wire::Answer& answer, Fd fd);
  void answer(const Request& request, Fd fd);
  // `address` is the last one that was tried; null if there was none.
  void refuse(const Request& request, int error, const Address* address);

  Loop& loop_;
  ReturnPaths& paths_;
  Options options_;
  // Answers that will be sent as one packet.
  struct {
    uint32_t channel = 0;
    std::string data;
    std::vector<Fd> fds;
  } outgoing_;
  std::unordered_map<std::string, Plan> plans_;
};

}  // namespace rn
