// Forwards DNS queries to resolvers: those of the host from the network namespace of this process, or those of a container from
// its own.
//
// Theory of operation. A query is passed on as it is, but for its id: EDNS options, flags and the case of letters are
// its sender's (RFC 5625). Equal queries that are under way at the same time are asked once. Nothing is cached: the
// host's resolver does that, and its answers are right when the host's network changes.
//
// Resolvers are asked in their order, each for kAttemptMs, then the next one, and the first again after the last, until
// kTotalMs. A late answer counts, too. One that refuses (no server, no route), or that answers with an error of its own
// (SERVFAIL, NOTIMP, REFUSED), is followed by the next one at once; such an answer is passed on when there is no better
// one. A resolver that has answered nothing at all since it was asked rests: for kRestMs the others are asked first.
// Then one query goes to it and to the next one at the same time, so that nobody waits to find out whether it is back.
//
// An answer is accepted from a resolver that was asked, with the id of that query and the same question, spelled the
// same. Each query has a socket of its own with a random port, as long as there are fewer than kMaxUdpLinks; beyond
// that sockets are shared. Connections over TCP are kept for kIdleMs. Truncated answers are passed on; their receivers
// ask again over TCP.
//
// Used on the loop's thread, and before it is started or after it has stopped. Once it is destroyed, nothing is called.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dns/resolver_link.h"
#include "engine/fd_budget.h"
#include "loop/loop.h"
#include "system/sockets.h"

namespace rn {

class DnsForwarder : private dns::ResolverLink::Owner {
 public:
  // Gets the answer, with the query's id; or "" where the query is none, and is not answered.
  using Done = std::function<void(std::string reply)>;

  // Queries that wait for an answer, beyond which they fail (SERVFAIL). Shares for clients are the caller's affair.
  static constexpr size_t kMaxOutstanding = 1024;
  static constexpr size_t kMaxResolvers = 8;

  // Its sockets count against the budget, if there is one.
  // With `netns` they are asked from that network namespace.
  explicit DnsForwarder(Loop& loop, FdBudget* budget = nullptr, std::shared_ptr<Fd> netns = nullptr);
  ~DnsForwarder() override;
  DnsForwarder(const DnsForwarder&) = delete;
  DnsForwarder& operator=(const DnsForwarder&) = delete;

  // In the order in which they are asked; those beyond kMaxResolvers are left out. Without any all queries fail.
  // Queries that are under way are asked anew.
  void setResolvers(const std::vector<Address>& resolvers);
  // `tcp`: the resolver is asked over TCP, too. `done` is called once, possibly before this returns.
  void ask(std::string query, bool tcp, Done done);
  size_t outstanding() const { return outstanding_; }

 private:
  static constexpr uint64_t kAttemptMs = 1000;
  static constexpr uint64_t kTotalMs = 4500;
  static constexpr uint64_t kRestMs = 30 * 1000;
  static constexpr uint64_t kIdleMs = 2000;
  static constexpr size_t kMaxUdpLinks = 128;
  static constexpr size_t kMaxStreamLinks = 16;
  static constexpr size_t kMaxOnUdpLink = 64;
  static constexpr size_t kMaxOnStreamLink = 16;

  struct Waiter {
    uint16_t id;
    Done done;
  };
  // A resolver as one exchange sees it.
  struct Candidate {
    std::shared_ptr<dns::Resolver> resolver;
    // It has refused, or answered with an error.
    bool out = false;
    // When it was asked last; 0 for not yet.
    uint64_t askedAt = 0;
  };
  // A query, for all that wait for its answer.
  struct Exchange {
    std::string query;
    bool tcp = false;
    std::vector<Waiter> waiters;
    std::vector<Candidate> candidates;
    size_t next = 0;
    std::vector<dns::ResolverLink*> links;
    uint64_t deadline = 0;
    uint64_t nextAt = 0;
    // An error that a resolver has answered with.
    std::string failure;
  };
  enum class Sent { yes, refused, full };
  class Clock;
  struct Holder : FdBudget::Holder {};

  bool onReply(dns::ResolverLink* link, uint64_t number, std::string_view reply) override;
  void onLinkFailed(dns::ResolverLink* link, const dns::ResolverLink::Numbers& numbers) override;

  static std::string keyOf(const Exchange& exchange);
  void choose(Exchange* exchange);
  void askNext(uint64_t number);
  Sent send(uint64_t number, Exchange* exchange, Candidate* candidate);
  dns::ResolverLink* linkFor(const Exchange& exchange, const std::shared_ptr<dns::Resolver>& resolver, Sent* why);
  void dropFrom(Exchange* exchange, dns::ResolverLink* link);
  void leave(dns::ResolverLink* link, uint64_t number);
  void remove(dns::ResolverLink* link);
  void finish(uint64_t number, std::string reply);
  void fail(uint64_t number, dns::Reason reason);
  void tick();
  void onTimeout(uint64_t number);

  Loop& loop_;
  FdBudget* budget_;
  std::shared_ptr<Fd> netns_;
  Holder holder_;
  Clock* clock_;
  dns::Random random_;
  std::vector<std::shared_ptr<dns::Resolver>> resolvers_;
  std::unordered_map<uint64_t, Exchange> exchanges_;
  // Numbers of exchanges by their query without its id.
  std::unordered_map<std::string, uint64_t> byQuery_;
  std::vector<dns::ResolverLink*> udp_;
  std::vector<dns::ResolverLink*> streams_;
  uint64_t lastNumber_ = 0;
  size_t outstanding_ = 0;
  // False once it is destroyed.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace rn
