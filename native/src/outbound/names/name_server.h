// The DNS server that programs inside have: answers come from the host's resolvers (dns/forwarder.h).
//
// Theory of operation. Names of the stack itself, and of the host as programs reach it, are answered here, and never asked of
// others: all that end with rootless.internal. Queries come as datagrams to the gateway's DNS address, or over a connection to it; those of
// containers by way of the agent (dns/link/). A name that the egress policy does not allow is refused; one that a program has
// completed by the host's search list does not exist instead, since programs try the next completion after that, and give
// up after a refusal. Of each answer the addresses are remembered under the name that was asked, for the policy and for reports. Where a
// policy is in effect, keys for Encrypted ClientHello are removed from answers, so that clients show which name they connect to.
//
// Queries of one client that wait for an answer are limited, so that others are served beside it.
#pragma once
#include <functional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "dns/forwarder.h"
#include "dns/message.h"
#include "dns/server/query_reports.h"
#include "dns/server/zone.h"
#include "dns/tcp_server.h"
#include "engine/context.h"
#include "outbound/egress.h"

namespace rn {

class NameServer {
 public:
  using Done = std::function<void(std::string reply)>;

  // Without `egress` everything is allowed.
  NameServer(Context& context, Egress* egress)
      : context_(context), egress_(egress), forwarder_(context.loop, &context.fds) {}
  // The host's; see DnsForwarder. `search` has the domains of its search list, in lower case, without a dot at the end.
  void setResolvers(const std::vector<Address>& resolvers, std::vector<std::string> search) {
    forwarder_.setResolvers(resolvers);
    search_ = std::move(search);
  }
  // Names that are answered here (dns/server/zone.h), to programs of the stack.
  void setZone(dns::Zone zone) { zone_ = std::move(zone); }
  // Reports of queries of these programs; null to stop.
  void watch(dns::QueryReports::Watcher watcher) { reports_.watch(std::move(watcher)); }
  // A query of such a program, which came over TCP or in a datagram. `done` gets the answer, "" for none.
  void askHere(std::string query, const Address& client, bool tcp, Done done);
  // … of any client, for names of others.
  void ask(std::string query, const Address& client, bool tcp, Done done);
  // A connection of a client; `onEnd` is called when it is over.
  void serve(Fd connection, const Address& client, std::function<void()> onEnd);
  // Returns how many connections that has ended, without their `onEnd`.
  size_t close();

 private:
  static constexpr size_t kMostOfClient = 512;
  static constexpr size_t kMostStreams = 512;

  struct Asker {
    Address client;
    bool tcp;
  };

  // A valid query, of the host's resolvers.
  void forward(std::string query, const dns::Question& question, const Asker& asker, Done done);
  std::string received(const Address& client, std::string_view query, std::string reply);
  dns::Rcode denied(const dns::Question& question) const;

  Context& context_;
  Egress* egress_;
  DnsForwarder forwarder_;
  dns::Zone zone_;
  dns::View view_{{&zone_}, true};
  dns::Random random_;
  dns::QueryReports reports_;
  std::vector<std::string> search_;
  std::unordered_set<DnsStream*> streams_;
  // Queries that wait, by the client's address.
  std::unordered_map<std::string, size_t> waiting_;
};

}  // namespace rn
