#include "udp/udp_port.h"

#include <errno.h>
#include <string.h>
#include <string>
#include <utility>

#include "udp/udp_batch.h"
#include "udp/udp_flow.h"

namespace rn {

namespace {

constexpr size_t kMaxFlows = 16 * 1024;

}  // namespace

bool UdpPort::Key::operator==(const Key& o) const { return memcmp(bytes, o.bytes, sizeof bytes) == 0; }

size_t UdpPort::KeyHash::operator()(const Key& key) const {
  return std::hash<std::string_view>()(std::string_view(reinterpret_cast<const char*>(key.bytes), sizeof key.bytes));
}

UdpPort::UdpPort(Context& context, PortOptions options) : Port(context, std::move(options)) {
  if (isDirect()) return;
  for (const auto& listener : listeners_) sources_.push_back(listener->fd.get());
  context_.shared.publishedSources.add(target_.port, sources_);
}

void UdpPort::onListenersEnd() {
  if (sources_.empty()) return;
  context_.shared.publishedSources.remove(target_.port, sources_, context_);
  sources_.clear();
}

int UdpPort::stopListening(Listener* listener) { return sockets::connectToSelf(listener->fd.get()); }

int UdpPort::listenAgain(Listener* listener) {
  sockaddr none{};
  none.sa_family = AF_UNSPEC;
  if (connect(listener->fd.get(), &none, sizeof none) != 0) return errno;
  // The end of listening has withdrawn it.
  if (!isDirect() && sources_.empty()) {
    sources_.push_back(listener->fd.get());
    context_.shared.publishedSources.add(target_.port, sources_);
  }
  return 0;
}

void UdpPort::closeConnections() {
  for (auto& [key, flow] : flows_) flow->end();
  for (auto* list : {&dialing_, &young_, &streams_}) list->clear();
  flows_.clear();
  context_.fds.setEvictable(this, false);
}

void UdpPort::addFlows(std::vector<PortFlow>* flows) const {
  for (const auto& [key, flow] : flows_) {
    if (!flow->isRefused()) flows->push_back(flow->flow());
  }
}

void UdpPort::onReadable(Listener* listener) {
  readForFlows<UdpFlow>(listener,
                        [&](const UdpBatch::Message& message) { return flowFor(listener, message.from, message.to); });
}

uint32_t UdpPort::firstAttempt(const Address& client) const {
  const Hint& hint = hints_[familyIndex(client)];
  return context_.loop.now() < hint.until ? hint.attempt : 0;
}

void UdpPort::advanceFlows(int family, uint32_t attempt) {
  std::vector<UdpFlow*> waiting;
  for (UdpFlow* flow : young_) {
    if (flow->isUnsettled(family, attempt)) waiting.push_back(flow);
  }
  for (UdpFlow* flow : waiting) flow->tryNextAddress();
}

void UdpPort::leaveGateway(int family) {
  context_.agents.gatewayRefused(target_);
  std::vector<UdpFlow*> waiting;
  for (UdpFlow* flow : young_) {
    if (flow->isUnsettledThroughGateway(family)) waiting.push_back(flow);
  }
  for (UdpFlow* flow : waiting) flow->dialAgain();
}

UdpFlow* UdpPort::flowFor(Listener* listener, const Address& client, const in6_addr& asked) {
  Key key;
  in6_addr ip = client.mapped();
  uint16_t port = client.port();
  memcpy(key.bytes, &ip, 16);
  memcpy(key.bytes + 16, &port, 2);
  memcpy(key.bytes + 18, &asked, 16);
  auto it = flows_.find(key);
  if (it != flows_.end()) return it->second;
  if ((flows_.size() >= kMaxFlows || !context_.fds.makeRoom(this, 1)) && !evictOne()) return nullptr;
  if (flows_.empty()) context_.fds.setEvictable(this, true);
  auto* flow = new UdpFlow(this, listener, UdpFlow::Ends{key, client, asked});
  flows_.emplace(key, flow);
  flow->link();
  wantTicks(true);
  return flow;
}

void UdpPort::remove(UdpFlow* flow) {
  flows_.erase(flow->key());
  flow->unlink();
  flow->end();
  if (flows_.empty()) context_.fds.setEvictable(this, false);
}

bool UdpPort::evictOne() {
  for (auto* list : {&young_, &streams_}) {
    if (list->empty()) continue;
    remove(list->front());
    return true;
  }
  return false;
}

void UdpPort::onTick() {
  uint64_t now = context_.loop.now();
  if (now < nextScan_) return;
  nextScan_ = now + 1000;
  for (auto* list : {&dialing_, &young_, &streams_}) {
    for (auto it = list->begin(); it != list->end();) {
      UdpFlow* flow = *it++;
      if (!flow->tick(now)) remove(flow);
    }
  }
  if (flows_.empty()) wantTicks(false);
}

}  // namespace rn
