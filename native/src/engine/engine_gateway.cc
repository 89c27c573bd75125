// The engine's network of the driver builtin: the gateway, the host's resolvers, what may be reached, and flows out of it.
#include <fcntl.h>
#include <iterator>
#include <memory>
#include <utility>

#include "engine/engine.h"

namespace rn {

namespace {
// The default's first.
std::vector<RuleCounters> countersOf(const Policy& policy) {
  std::vector<RuleCounters> all;
  for (int rule = -1; rule < int(policy.ruleCount()); rule++) all.push_back(policy.counters(rule));
  return all;
}
}  // namespace

void Engine::openGateway(GatewayOptions options) {
  auto shared = std::make_shared<GatewayOptions>(std::move(options));
  loop_.post([this, shared] {
    if (gateway_) return;
    useGateway(shared.get());
    gateway_ = std::make_unique<Gateway>(threads_.front()->context(), std::move(*shared));
    applyQueryWatch();
  });
}

void Engine::useGateway(GatewayOptions* options) {
  InboundDials::Network network;
  network.netns = netnsCookieOf(options->tcp4.get());
  Fd member(fcntl(options->tcp4.get(), F_DUPFD_CLOEXEC, 0));
  if (!options->orders.valid() || !member.valid() || network.netns == 0) return;
  orders_ = std::make_shared<OrderedSockets>(loop_, std::move(options->orders), std::move(member));
  network.source = orders_;
  network.child4 = options->destinations.v4.child;
  network.child6 = options->destinations.v6.child;
  network.device = options->device;
  for (const auto& thread : threads_) {
    thread->loop().post([agents = &thread->agents(), network] { agents->useGateway(network); });
  }
}

void Engine::closeGateway() {
  for (const auto& thread : threads_) thread->loop().post([agents = &thread->agents()] { agents->endGateway(); });
  loop_.post([this] {
    if (gateway_) gateway_->close();
    if (orders_) orders_->close();
  });
}

void Engine::setResolvers(std::vector<Address> resolvers, std::vector<std::string> search) {
  loop_.post([this, resolvers = std::move(resolvers), search = std::move(search)] {
    if (names() == nullptr) names_ = std::make_unique<NameServer>(threads_.front()->context(), nullptr);
    names()->setResolvers(resolvers, search);
  });
}

void Engine::setOwnNames(dns::Zone zone) {
  auto shared = std::make_shared<dns::Zone>(std::move(zone));
  loop_.post([this, shared] {
    if (gateway_) gateway_->names().setZone(std::move(*shared));
  });
}

bool Engine::setEgress(const std::string& encoded, const std::vector<Address>& host) {
  return ask(*threads_.front(), [&] { return gateway_ && gateway_->egress().setPolicy(encoded, host); });
}

bool Engine::learnEgress(const std::vector<Address>& host) {
  return ask(*threads_.front(), [&] {
    if (gateway_) gateway_->egress().learn(host);
    return gateway_ != nullptr;
  });
}

Engine::Learned Engine::learnedRules(size_t known) {
  return ask(*threads_.front(), [this, known] {
    Learned all;
    const Learner* learner = gateway_ ? gateway_->egress().learner() : nullptr;
    if (learner == nullptr) return all;
    all.full = learner->isFull();
    if (learner->rules().size() != known) all.rules.assign(learner->rules().begin(), learner->rules().end());
    return all;
  });
}

std::vector<RuleCounters> Engine::egressCounters() {
  return ask(*threads_.front(),
             [this] { return gateway_ ? countersOf(gateway_->egress().policy()) : std::vector<RuleCounters>(); });
}

bool Engine::setSource(uint32_t id, const std::vector<Address>& addresses, const std::vector<std::string>& policies) {
  return ask(*threads_.front(), [&] { return gateway_ && gateway_->setSource(id, addresses, policies); });
}

void Engine::removeSource(uint32_t id) {
  ask(*threads_.front(), [&] {
    if (gateway_) gateway_->removeSource(id);
  });
}

void Engine::limitSource(uint32_t id, uint32_t number) {
  LimitPair* limit = &shared_.limits.of(number);
  ask(*threads_.front(), [&] {
    if (gateway_) gateway_->egress().sources().limit(id, limit);
  });
}

void Engine::setSourceHost(const std::vector<Address>& host) {
  ask(*threads_.front(), [&] {
    if (gateway_) gateway_->egress().setSourceHost(host);
  });
}

std::vector<RuleCounters> Engine::sourceCounters(uint32_t id, size_t policy) {
  return ask(*threads_.front(), [&] {
    const Sources::Policies* policies = gateway_ ? gateway_->egress().sources().byId(id) : nullptr;
    return policies != nullptr && policy < policies->size() ? countersOf(*(*policies)[policy])
                                                            : std::vector<RuleCounters>();
  });
}

std::vector<FlowReport> Engine::outboundFlows() {
  std::vector<FlowReport> all;
  for (const auto& thread : threads_) {
    // The gateway is made on the first thread, which is asked first.
    auto flows = ask(*thread, [this, context = &thread->context()] {
      return gateway_ ? gateway_->flows(*context) : std::vector<FlowReport>();
    });
    std::move(flows.begin(), flows.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace rn
