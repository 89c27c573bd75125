// The DNS servers of container networks, one at each gateway address, in the agent.
//
// Theory of operation. A network has sockets at its gateway addresses, which are bound once, and a zone (zone.h), which is
// replaced by each change. The agent may die: its sockets are also kept by the parent, which gives them to the next agent
// (link/name_wire.h); queries wait in them meanwhile, until that one knows all names: settled().
//
// What a client may ask follows from its address: a container may ask for the names of all its networks, at any of their
// gateways; another program of the network, or of this namespace, for those of the network that it asks at; addresses of other
// networks are refused. A query is answered
//
//   malformed     with an error
//   own name      by the zones (own_answer.h)
//   any other     by the resolvers that the container has (--dns), which are asked from its network namespace; else by
//                 the host's, by way of the parent. Clients that are on internal networks only get NXDOMAIN
//
// Clients are hostile: of what is asked of others kMaxOfClient queries of one client wait at most, and kMaxWaiting of all; and
// no more than kRate a second are accepted of one client. Queries are reported while there are subscribers (query_reports.h).
//
// The parent has one as well, with sockets of the host that were opened elsewhere (adopt()): it answers the names that the host
// may ask for, and forwards no query.
//
// It belongs to the engine's first thread. Results of ask() may come later.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dns/forwarder.h"
#include "dns/server/listener.h"
#include "dns/server/query_reports.h"
#include "dns/server/shares.h"
#include "dns/server/zone.h"
#include "loop/loop.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

namespace dns {

class Servers {
 public:
  // `from` is Origin::lost where no server has answered in time.
  using Done = std::function<void(std::string reply, Origin from)>;
  // Sends a packet to the parent, with or without a descriptor.
  using Send = std::function<void(std::string packet, std::vector<Fd> fds)>;
  // Queries of one network, by who has answered.
  struct Counters {
    uint64_t from[kOrigins] = {};
  };
  struct Client {
    std::vector<uint32_t> networks;
    bool outside = false;
    // Its own resolvers, and the network namespace that they are asked from.
    std::vector<Address> servers{};
    std::shared_ptr<Fd> netns{};
  };

  Servers(Loop& loop, Send send) : loop_(loop), send_(std::move(send)) {}

  // Serves a network at these addresses, from settled() on. The result is "", or what prevents it.
  std::string open(uint32_t network, const std::vector<Address>& gateways, Zone zone);
  void close(uint32_t network);
  // All networks of an agent before are open, and their names known; sockets that were kept for others are closed.
  void settled();
  // Does nothing for a network that is not open.
  void setZone(uint32_t network, Zone zone);
  void setClient(const Address& address, Client client);
  void removeClient(const Address& address);
  // Serves names at sockets that are open, from now on: datagrams, and connections.
  void adopt(uint32_t network, Fd datagrams, Fd connections, Zone zone);
  // Null to stop.
  void watch(QueryReports::Watcher watcher) { reports_.watch(std::move(watcher)); }
  // Of networks that are open.
  Counters counters(uint32_t network) const;
  // A query as if that client had sent it.
  void ask(uint32_t network, std::string query, const Address& client, bool tcp, Done done);
  // False where the parent's packet is invalid.
  bool onPacket(std::string_view packet, std::vector<Fd>* fds);
  void tick();
  void closeAll();

 private:
  static constexpr size_t kMaxWaiting = 1024;
  // The parent has given up before.
  static constexpr uint64_t kTimeoutMs = 5000;

  struct Network {
    Zone zone;
    std::map<std::string, Listener*> listeners;
    Counters counters;
  };
  struct Waiting {
    std::string query;
    Done done;
    uint64_t deadline;
  };
  struct Known {
    Client client;
    // To its own resolvers.
    std::unique_ptr<DnsForwarder> forwarder{};
  };

  void listen(Network* opened, uint32_t network, const std::string& key, Fd fd, int type);
  void add(uint32_t network, Network opened);
  void findZones();
  // Counts a query that was answered, and reports it.
  void answered(const QueryReport& report);
  void endForwarder(Known* known, const Address& address);
  // False where it may not ask there.
  bool viewOf(uint32_t network, const Address& client, View* view) const;
  void forward(std::string query, const Address& client, bool tcp, Done done);
  void askParent(std::string query, const Address& client, bool tcp, Done done);
  void finish(uint32_t id, std::string reply, Origin from);
  void keep(const std::string& key, int fd);

  Loop& loop_;
  Send send_;
  Random random_;
  Shares shares_;
  std::map<uint32_t, Network> networks_;
  // Of all networks.
  std::vector<const Zone*> zones_;
  std::map<AddressNumber, Known> clients_;
  // Queries that wait for resolvers of containers.
  size_t forwarded_ = 0;
  QueryReports reports_;
  // Of an agent before this one.
  std::map<std::string, Fd> kept_;
  std::unordered_map<uint32_t, Waiting> waiting_;
  uint32_t lastId_ = 0;
  bool settled_ = false;
};

}  // namespace dns

}  // namespace rn
