// The agent's side: makes the sockets that the parent asks for, in the child's network namespace.
//
// Theory of operation. Where a request goes is said by its plan: the addresses to try, in order. Plans come from the
// dial rule, in JavaScript; the first request for a target asks for its plan (onPlanWanted), and requests for it wait
// until setPlan(). From then on no JavaScript runs. A TCP request tries the addresses from number `attempt` on until
// one accepts; a UDP request takes address number `attempt` (whether anybody listens there is only seen by sending, so
// it is the parent that asks for the next one). connect(2) to a local address is over when the call returns, or when
// it is called again; only the others are watched.
//
// Where a plan says so, the server is to see the client's own address: the socket is bound to it (ip(7), IP_TRANSPARENT).
// Answers only come back where routes lead them here, so the first request of each client asks for that
// (onClientWanted), and waits until setClient(). Addresses of the client's own family come first then, and loopback
// clients are left as they are.
#pragma once
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "fd.h"
#include "loop.h"
#include "sockets.h"
#include "wire.h"

class Dialer {
 public:
  // `reply` sends a packet on the channel of that number, if it is still there: a request may outlive its channel.
  using Reply = std::function<void(uint32_t channel, std::string data, std::vector<Fd> fds)>;
  using PlanWanted = std::function<void(const std::string& target)>;
  using ClientWanted = std::function<void(const std::string& target, const std::string& ip)>;

  Dialer(Loop& loop, std::string congestion, PlanWanted onPlanWanted, ClientWanted onClientWanted, Reply reply)
      : loop_(loop),
        congestion_(std::move(congestion)),
        onPlanWanted_(std::move(onPlanWanted)),
        onClientWanted_(std::move(onClientWanted)),
        reply_(std::move(reply)) {}

  // False where the packet is no request.
  bool onPacket(uint32_t channel, std::string_view packet);
  void setPlan(const std::string& target, std::vector<Address> addresses, bool keepSource);
  // Whether servers of that target see that client's address.
  void setClient(const std::string& target, const std::string& ip, bool keep);
  // Forgets all plans, so that the next requests ask for new ones.
  void forgetPlans();
  void forgetPlan(const std::string& target);
  // Sends the answers that have come up since the last call. Called at the end of each round of events.
  void flush();
  // Forgets what was said of clients, so that their next requests ask again.
  void forgetClients();

 private:
  friend class PendingConnect;

  struct Request {
    uint32_t channel;
    uint32_t id;
    int type;
    uint32_t attempt;
    Address source;
    // Whether the socket is bound to the source.
    bool keepSource = false;
  };
  struct Plan {
    bool known = false;
    bool keepSource = false;
    std::vector<Address> addresses;
    // The same, with those of that family first.
    std::vector<Address> v4First, v6First;
    std::vector<Request> waiting;
    std::unordered_map<std::string, bool> clients;
    std::unordered_map<std::string, std::vector<Request>> waitingClients;

    // Whether nobody waits for what JavaScript has to say.
    bool idle() const { return known && waitingClients.empty(); }
  };

  void take(uint32_t channel, const wire::ConnectRequest& in);
  void serve(const std::string& target, Request request, Plan& plan);
  void dial(const Request& request, const std::vector<Address>& addresses);
  // A socket that is connecting to the address; errno says what connect(2) did: 0, EINPROGRESS, or why not.
  Fd open(const Request& request, const Address& to, bool keepSource);
  // Goes on with the address at `index`; `lastError` is what the one before it said.
  void connectFrom(const Request& request, const std::vector<Address>& addresses, size_t index, int lastError);
  void say(uint32_t channel, const wire::Answer& answer, Fd fd);
  void answer(const Request& request, Fd fd);
  void refuse(const Request& request, int error, const Address* address);

  Loop& loop_;
  std::string congestion_;
  PlanWanted onPlanWanted_;
  ClientWanted onClientWanted_;
  Reply reply_;
  // Answers that will go as one packet.
  struct {
    uint32_t channel = 0;
    std::string data;
    std::vector<Fd> fds;
  } outgoing_;
  std::unordered_map<std::string, Plan> plans_;
};
