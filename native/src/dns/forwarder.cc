#include "dns/forwarder.h"

#include <errno.h>
#include <string.h>
#include <algorithm>
#include <utility>

#include "dns/message.h"

namespace rn {

using dns::Header;
using dns::Question;
using dns::Rcode;
using dns::Reason;
using dns::Resolver;
using dns::ResolverLink;

namespace {

bool isSame(const Address& a, const Address& b) { return a.length == b.length && memcmp(&a.sa, &b.sa, a.length) == 0; }

// An error of the resolver itself, not of the name: another one may know better. Some send it without the question.
bool isOwnError(Rcode rcode) { return rcode == Rcode::servFail || rcode == Rcode::notImp || rcode == Rcode::refused; }

bool answers(const std::string& query, std::string_view reply) {
  Header header;
  Question question, answered;
  if (!dns::readHeader(reply, &header) || header.opcode() != 0) return false;
  if (header.questions == 0) return isOwnError(header.rcode()) || header.rcode() == Rcode::formErr;
  return dns::readQuestion(query, &question) && dns::readQuestion(reply, &answered) &&
         question.spelled == answered.spelled;
}

}  // namespace

// Runs at each tick of the loop while there is something to wait for.
class DnsForwarder::Clock : public DeferredDelete {
 public:
  Clock(Loop& loop, DnsForwarder* owner) : loop_(loop), owner_(owner) {}
  void start() { loop_.later(this); }
  void onAgain() override { owner_->tick(); }

 private:
  Loop& loop_;
  DnsForwarder* owner_;
};

DnsForwarder::DnsForwarder(Loop& loop, FdBudget* budget, std::shared_ptr<Fd> netns)
    : loop_(loop), budget_(budget), netns_(std::move(netns)), clock_(new Clock(loop, this)) {}

DnsForwarder::~DnsForwarder() {
  *alive_ = false;
  for (auto* links : {&udp_, &streams_}) {
    while (!links->empty()) {
      ResolverLink* link = links->back();
      remove(link);
      link->close();
    }
  }
  loop_.deleteLater(clock_);
}

void DnsForwarder::setResolvers(const std::vector<Address>& resolvers) {
  std::vector<std::shared_ptr<Resolver>> before = std::move(resolvers_);
  resolvers_.clear();
  for (const Address& address : resolvers) {
    if (resolvers_.size() == kMaxResolvers) break;
    auto known = std::find_if(before.begin(), before.end(),
                              [&](const auto& resolver) { return isSame(resolver->address, address); });
    resolvers_.push_back(known != before.end() ? *known : std::make_shared<Resolver>(Resolver{address}));
  }
  for (auto& [number, exchange] : exchanges_) {
    choose(&exchange);
    exchange.nextAt = 0;
  }
}

std::string DnsForwarder::keyOf(const Exchange& exchange) {
  return (exchange.tcp ? "t" : "u") + exchange.query.substr(sizeof(uint16_t));
}

void DnsForwarder::ask(std::string query, bool tcp, Done done) {
  Rcode wrong = dns::checkQuery(query);
  if (wrong != Rcode::noError) return done(dns::errorReply(query, wrong));
  if (outstanding_ >= kMaxOutstanding) return done(dns::errorReply(query, Rcode::servFail, Reason::notReady));
  if (resolvers_.empty()) return done(dns::errorReply(query, Rcode::servFail, Reason::noReachableAuthority));

  Header header;
  dns::readHeader(query, &header);
  Exchange exchange;
  exchange.query = std::move(query);
  exchange.tcp = tcp;
  auto [place, isNew] = byQuery_.try_emplace(keyOf(exchange), lastNumber_ + 1);
  outstanding_++;
  if (!isNew) {
    exchanges_[place->second].waiters.push_back({header.id, std::move(done)});
    return;
  }
  exchange.waiters.push_back({header.id, std::move(done)});
  exchange.deadline = loop_.now() + kTotalMs;
  choose(&exchange);
  uint64_t number = ++lastNumber_;
  exchanges_[number] = std::move(exchange);
  clock_->start();
  askNext(number);
}

// Those that rest come last.
void DnsForwarder::choose(Exchange* exchange) {
  uint64_t now = loop_.now();
  auto rests = [&](const auto& resolver) { return resolver->failed && now < resolver->restsUntil; };
  exchange->candidates.clear();
  exchange->next = 0;
  for (bool resting : {false, true}) {
    for (const auto& resolver : resolvers_) {
      if (rests(resolver) == resting) exchange->candidates.push_back({resolver});
    }
  }
}

// Asks the next resolver, and those after it as long as they refuse.
void DnsForwarder::askNext(uint64_t number) {
  Exchange& exchange = exchanges_[number];
  std::vector<Candidate>& candidates = exchange.candidates;
  uint64_t now = loop_.now();
  exchange.nextAt = now + kAttemptMs;
  for (size_t tried = 0; tried < candidates.size(); tried++) {
    Candidate& candidate = candidates[exchange.next];
    exchange.next = (exchange.next + 1) % candidates.size();
    if (candidate.out) continue;
    Resolver& resolver = *candidate.resolver;
    bool probes = resolver.failed && now >= resolver.restsUntil;
    // No others meanwhile.
    if (probes) resolver.restsUntil = now + kRestMs;
    switch (send(number, &exchange, &candidate)) {
      case Sent::yes:
        if (probes) continue;
        return;
      case Sent::full: exchange.nextAt = now; return;
      case Sent::refused: candidate.out = true; break;
    }
  }
  if (exchange.links.empty()) fail(number, Reason::networkError);
}

DnsForwarder::Sent DnsForwarder::send(uint64_t number, Exchange* exchange, Candidate* candidate) {
  Sent why = Sent::refused;
  ResolverLink* link = linkFor(*exchange, candidate->resolver, &why);
  if (link == nullptr) return why;
  if (!link->send(number, exchange->query)) {
    leave(link, number);
    return Sent::refused;
  }
  candidate->askedAt = std::max<uint64_t>(loop_.now(), 1);
  exchange->links.push_back(link);
  return Sent::yes;
}

// A new socket as long as there are few; otherwise one of those to that resolver.
ResolverLink* DnsForwarder::linkFor(const Exchange& exchange, const std::shared_ptr<Resolver>& resolver, Sent* why) {
  std::vector<ResolverLink*>& links = exchange.tcp ? streams_ : udp_;
  size_t mostOnOne = exchange.tcp ? kMaxOnStreamLink : kMaxOnUdpLink;
  std::vector<ResolverLink*> usable;
  for (ResolverLink* link : links) {
    bool asked = std::find(exchange.links.begin(), exchange.links.end(), link) != exchange.links.end();
    if (link->resolver() == resolver && link->waiting() < mostOnOne && !asked) usable.push_back(link);
  }
  // A connection that waits for nothing.
  for (ResolverLink* link : usable) {
    if (exchange.tcp && link->waiting() == 0) return link;
  }
  if (links.size() < (exchange.tcp ? kMaxStreamLinks : kMaxUdpLinks) &&
      (budget_ == nullptr || budget_->makeRoom(&holder_, 1))) {
    ResolverLink::Use use{loop_, *this, random_, netns_ ? netns_->get() : -1};
    ResolverLink* link = nullptr;
    if (exchange.tcp) link = dns::StreamLink::make(use, resolver);
    else link = dns::UdpLink::make(use, resolver);
    if (link != nullptr) {
      links.push_back(link);
      if (budget_ != nullptr) budget_->acquire(&holder_, 1);
      return link;
    }
    if (errno != EMFILE && errno != ENFILE) return nullptr;
  }
  *why = Sent::full;
  return usable.empty() ? nullptr : usable[random_.next() % usable.size()];
}

bool DnsForwarder::onReply(ResolverLink* link, uint64_t number, std::string_view reply) {
  auto it = exchanges_.find(number);
  if (it == exchanges_.end() || !answers(it->second.query, reply)) return false;
  Exchange& exchange = it->second;
  Resolver& resolver = *link->resolver();
  resolver.answeredAt = loop_.now();
  resolver.failed = false;
  Header header;
  dns::readHeader(reply, &header);
  if (!isOwnError(header.rcode())) {
    finish(number, std::string(reply));
    return true;
  }
  exchange.failure = reply;
  for (Candidate& candidate : exchange.candidates) {
    if (candidate.resolver == link->resolver()) candidate.out = true;
  }
  dropFrom(&exchange, link);
  leave(link, number);
  // Those that were asked before may still answer.
  bool others = std::any_of(exchange.candidates.begin(), exchange.candidates.end(),
                            [](const Candidate& candidate) { return !candidate.out; });
  if (others) askNext(number);
  else finish(number, exchange.failure);
  return true;
}

void DnsForwarder::onLinkFailed(ResolverLink* link, const ResolverLink::Numbers& numbers) {
  remove(link);
  auto alive = alive_;
  for (uint64_t number : numbers) {
    if (!*alive) return;
    auto it = exchanges_.find(number);
    if (it == exchanges_.end()) continue;
    dropFrom(&it->second, link);
    // Resolvers close connections that they have answered on when they like; then another one is made.
    std::vector<Candidate>& candidates = it->second.candidates;
    for (size_t i = 0; i < candidates.size(); i++) {
      if (candidates[i].resolver != link->resolver()) continue;
      if (link->isProven() && it->second.tcp) it->second.next = i;
      else candidates[i].out = true;
    }
    askNext(number);
  }
}

void DnsForwarder::dropFrom(Exchange* exchange, ResolverLink* link) {
  auto& links = exchange->links;
  links.erase(std::remove(links.begin(), links.end(), link), links.end());
}

// A query does not wait on that link any more.
void DnsForwarder::leave(ResolverLink* link, uint64_t number) {
  link->forget(number);
  bool isStream = std::find(streams_.begin(), streams_.end(), link) != streams_.end();
  if (isStream || link->waiting() > 0) return;
  remove(link);
  link->close();
}

void DnsForwarder::remove(ResolverLink* link) {
  for (auto* links : {&udp_, &streams_}) {
    auto it = std::find(links->begin(), links->end(), link);
    if (it == links->end()) continue;
    links->erase(it);
    if (budget_ != nullptr) budget_->release(&holder_, 1);
  }
}

void DnsForwarder::finish(uint64_t number, std::string reply) {
  auto it = exchanges_.find(number);
  Exchange exchange = std::move(it->second);
  exchanges_.erase(it);
  byQuery_.erase(keyOf(exchange));
  outstanding_ -= exchange.waiters.size();
  for (ResolverLink* link : exchange.links) leave(link, number);
  auto alive = alive_;
  for (Waiter& waiter : exchange.waiters) {
    if (!*alive) return;
    dns::setId(&reply, waiter.id);
    waiter.done(reply);
  }
}

void DnsForwarder::fail(uint64_t number, Reason reason) {
  Exchange& exchange = exchanges_[number];
  std::string reply = exchange.failure;
  finish(number, reply.empty() ? dns::errorReply(exchange.query, Rcode::servFail, reason) : reply);
}

void DnsForwarder::tick() {
  uint64_t now = loop_.now();
  std::vector<uint64_t> due;
  for (const auto& [number, exchange] : exchanges_) {
    if (now >= exchange.deadline || now >= exchange.nextAt) due.push_back(number);
  }
  auto alive = alive_;
  for (uint64_t number : due) {
    onTimeout(number);
    if (!*alive) return;
  }
  std::vector<ResolverLink*> idle;
  for (ResolverLink* link : streams_) {
    if (link->waiting() == 0 && now - link->usedAt() >= kIdleMs) idle.push_back(link);
  }
  for (ResolverLink* link : idle) {
    remove(link);
    link->close();
  }
  if (!exchanges_.empty() || !streams_.empty()) clock_->start();
}

void DnsForwarder::onTimeout(uint64_t number) {
  auto it = exchanges_.find(number);
  if (it == exchanges_.end()) return;
  uint64_t now = loop_.now();
  Exchange& exchange = it->second;
  bool hadTime = true;
  for (Candidate& candidate : exchange.candidates) {
    Resolver& resolver = *candidate.resolver;
    if (candidate.out) continue;
    if (candidate.askedAt == 0 || now - candidate.askedAt < kAttemptMs) {
      hadTime = false;
      continue;
    }
    if (resolver.failed || resolver.answeredAt >= candidate.askedAt) continue;
    resolver.failed = true;
    resolver.restsUntil = now + kRestMs;
  }
  bool isOver = now >= exchange.deadline || (hadTime && !exchange.failure.empty());
  if (isOver) fail(number, Reason::noReachableAuthority);
  else askNext(number);
}

}  // namespace rn
