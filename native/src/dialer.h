// The agent's side: makes the sockets that the parent asks for, in the child's network namespace.
//
// Theory of operation. Where a request goes is said by its plan: the addresses to try, in order. Plans come from the
// dial rule, in JavaScript; the first request for a target asks for its plan (onPlanWanted), and requests for it wait
// until setPlan(). From then on no JavaScript runs. A TCP request tries the addresses from number `attempt` on until
// one accepts; a UDP request takes address number `attempt` (whether anybody listens there is only seen by sending, so
// it is the parent that asks for the next one). connect(2) to a local address is over when the call returns, or when
// it is called again; only the others are watched.
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

  Dialer(Loop& loop, std::string congestion, std::function<void(const std::string&)> onPlanWanted, Reply reply)
      : loop_(loop),
        congestion_(std::move(congestion)),
        onPlanWanted_(std::move(onPlanWanted)),
        reply_(std::move(reply)) {}

  // False where the packet is no request.
  bool onPacket(uint32_t channel, std::string_view packet);
  void setPlan(const std::string& target, std::vector<Address> addresses);
  // Forgets all plans, so that the next requests ask for new ones.
  void forgetPlans();

 private:
  friend class PendingConnect;

  struct Request {
    uint32_t channel;
    uint32_t id;
    int type;
    uint32_t attempt;
  };
  struct Plan {
    bool known = false;
    std::vector<Address> addresses;
    std::vector<Request> waiting;
  };

  void take(uint32_t channel, const wire::ConnectRequest& in);
  void serve(const Request& request, const Plan& plan);
  // Goes on with the address at `index`; `lastError` is what the one before it said.
  void connectFrom(const Request& request, const std::vector<Address>& addresses, size_t index, int lastError);
  void answer(const Request& request, Fd fd);
  void refuse(const Request& request, int error, const Address* address);

  Loop& loop_;
  std::string congestion_;
  std::function<void(const std::string&)> onPlanWanted_;
  Reply reply_;
  std::unordered_map<std::string, Plan> plans_;
};
