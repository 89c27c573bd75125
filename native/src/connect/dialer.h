// The agent's side: makes the sockets that the parent requests, in the child's network namespace.
//
// Theory of operation. A request's plan has the addresses to try, in order, each with the request's port. Plans come from
// the dial rule, in JavaScript; the first request for a target asks for its plan (onPlanWanted), and requests for it wait
// until setPlan(). From then on no JavaScript runs. A TCP request tries the addresses from number `attempt` on until one
// accepts (outgoing.h); a UDP request uses address number `attempt` (only sending shows whether there is a server, so the
// parent requests the next one).
//
// Addresses of the client's own family come first: the server then sees an address of that family, and the client reaches
// the server that it would reach without a relay.
//
// With `keepSource` in a plan the server sees the client's own address. Replies only come back where routes lead them here,
// so the first request of each client asks for that (onClientWanted), and waits until setClient(); loopback clients are not
// changed. A client whose address cannot be kept is requested again after a second. The mark of setClient() routes TCP
// replies back; each UDP flow has a path of its own as well (return_paths.h).
//
// A plan may name the network namespace of a container that cannot be reached from this one: its sockets are made there.
//
// The parent may also request the route itself, and unconnected sockets, and connect those by itself (pool/pooled_dials.h).
// A plan has the epoch in which it was found (pool/epoch.h), and so have the routes that are sent.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "connect/outgoing.h"
#include "connect/wire.h"
#include "loop/loop.h"
#include "pool/epoch.h"
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

  // False where the packet is not a request, with the descriptors that came with it.
  bool onPacket(uint32_t channel, std::string_view packet, std::vector<Fd> fds);
  // What requests for a target get.
  struct Plan {
    std::vector<Address> addresses;
    bool keepSource = false;
    // The network namespace that sockets are made in; invalid for this one.
    Fd netns{};
    uint32_t epoch = 0;
  };
  void setPlan(const std::string& target, Plan found);
  // Whether servers of that target see that client's address, and the mark of the sockets (SO_MARK) where the servers are
  // in this namespace; 0 elsewhere.
  void setClient(const std::string& target, const std::string& ip, bool keep, uint32_t mark);
  // Forgets all plans, and what is known of clients: requests ask again, those that wait included. Results of earlier
  // queries must not be set afterwards.
  void forgetPlans();
  // Forgets the plan of a port that is gone.
  void forgetPlan(const std::string& target);
  // Any thread: to be advanced before forgetPlans() takes effect.
  Epoch& epoch() { return epoch_; }
  // Sends the answers since the last call. Called at the end of each round of events.
  void flush();

 private:
  class OwnSockets;
  class PendingRequest;

  struct Request {
    uint32_t channel;
    uint32_t id;
    size_t attempt;
    // Without the result of the plan until it is served.
    Outgoing out;
    // The route is the answer, and nothing is connected.
    bool wantsRoute = false;
    std::shared_ptr<Fd> netns = nullptr;
  };
  struct Client {
    bool keep;
    uint32_t mark;
    // The time (Loop::now()) from which on it is requested again; 0 for never.
    uint64_t until;
  };
  struct KnownPlan {
    bool known = false;
    bool keepSource = false;
    uint32_t epoch = 0;
    // Null if sockets are made in this namespace.
    std::shared_ptr<Fd> netns;
    Addresses addresses;
    // The same, with those of that family first.
    Addresses v4First, v6First;
    std::vector<Request> waiting;
    std::unordered_map<std::string, Client> clients;
    std::unordered_map<std::string, std::vector<Request>> waitingClients;

    // Whether no request waits for an answer of JavaScript.
    bool idle() const { return known && waitingClients.empty(); }
  };

  void take(uint32_t channel, const wire::Request& in);
  void serve(const std::string& target, Request request, KnownPlan& plan);
  // Where nothing more has to be found out about the request.
  void dial(const Request& request, const Addresses& addresses);
  void connect(const Request& request, const Addresses& addresses);
  void settle(const Request& request, const Addresses& addresses, TcpConnect& connect, TcpConnect::State state);
  void sendRoute(const Request& request, const KnownPlan& plan, const Addresses& addresses, bool perClient);
  void sendSockets(uint32_t channel, const wire::Request& in);
  void sendAnswer(uint32_t channel, const wire::Answer& answer, Fd fd);
  void answer(const Request& request, Fd fd);
  // The text has the last address.
  void refuse(const Request& request, int error, const Addresses& addresses);

  Loop& loop_;
  ReturnPaths& paths_;
  Options options_;
  // Answers that will be sent as one packet.
  struct {
    uint32_t channel = 0;
    std::string data;
    std::vector<Fd> fds;
  } outgoing_;
  std::unordered_map<std::string, KnownPlan> plans_;
  Epoch epoch_;
};

}  // namespace rn
