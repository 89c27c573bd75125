// What the parent knows of where connections lead: the answers of the agent to its requests for routes.
//
// Theory of operation. A route belongs to a target and to a kind of client: one on loopback, or any other, of one family;
// or, where servers see the addresses of clients, to one client. It is requested with the first connection that finds none,
// which goes through the agent as all do until the answer has come. All routes are of one epoch (epoch.h), and forgotten
// with it. A route without addresses says that each connection has to go through the agent: its sockets are made in another
// namespace, or it has to be checked again and again whether servers may see the client's address.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "connect/outgoing.h"
#include "connect/wire.h"

namespace rn {

struct Route {
  enum class State : uint8_t { unknown, requested, known };
  State state = State::unknown;
  bool keepSource = false;
  uint32_t mark = 0;
  // With port 0; null or empty where connections go through the agent.
  Addresses addresses{};
};

class Routes {
 public:
  // A route that is to be requested from the agent.
  struct Wanted {
    uint32_t id;
    std::string target;
    std::string sourceIP;
  };

  // The route of connections to the target from that client, without port; null while it is not known. It is then requested, if it is not
  // already. The pointer is valid until the next call.
  const Route* find(const std::string& target, const Address& source);
  // Takes the routes that are to be requested.
  std::vector<Wanted> takeWanted();
  // Returns the route; null where it was not requested, or is of another epoch than the routes are.
  const Route* onAnswer(const wire::Answer& answer);
  // Forgets all routes, and ignores answers to earlier requests. From now on routes are of that epoch.
  void clear(uint32_t epoch);
  void forget(const std::string& target);
  uint32_t epoch() const { return epoch_; }

 private:
  // The most routes that are kept, of all targets; then all are requested again.
  static constexpr size_t kMaxRoutes = 16 * 1024;
  static constexpr size_t kMaxRequested = 256;

  enum Family { kV4 = 0, kV6 = 1 };
  struct Target {
    Route local[2];
    Route remote[2];
    std::unordered_map<std::string, Route> clients;
  };
  static Family familyOf(const Address& source) { return source.family() == AF_INET ? kV4 : kV6; }
  Route* slot(Target* target, const Address& source);

  std::unordered_map<std::string, Target> targets_;
  struct Requested {
    std::string target;
    Address source;
  };
  std::unordered_map<uint32_t, Requested> requested_;
  std::vector<Wanted> wanted_;
  size_t count_ = 0;
  uint32_t epoch_ = 0;
  uint32_t nextId_ = 1;
};

}  // namespace rn
