#include "outbound/udp/outbound_udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <algorithm>
#include <utility>

#include "outbound/udp/outbound_flow.h"
#include "udp/taken_messages.h"

namespace rn {

namespace {

constexpr uint64_t kScanMs = 1000;

// The address that a datagram was sent to, of the family of its source.
Address askedOf(const UdpBatch::Message& message) {
  Address asked;
  asked.v6.sin6_family = AF_INET6;
  asked.v6.sin6_addr = message.to;
  asked.length = sizeof asked.v6;
  if (message.from.family() == AF_INET) asked = asked.unmapped();
  asked.setPort(message.toPort);
  return asked;
}

}  // namespace

class OutboundUdp::Listener : public Handler {
 public:
  Listener(OutboundUdp* owner, Fd socket) : fd(std::move(socket)), owner_(owner) {}
  void onEvents(uint32_t) override {
    readForFlows<OutboundFlow>(this, [this](const UdpBatch::Message& message) { return owner_->flowFor(message); });
  }
  using Handler::progress;
  Fd fd;

 private:
  OutboundUdp* owner_;
};

OutboundUdp::OutboundUdp(Deps deps, Fd datagrams4, Fd datagrams6)
    : deps_(std::move(deps)), out_(deps_.out), sources_(deps_.context.shared.publishedSources) {
  for (Fd* socket : {&datagrams4, &datagrams6}) {
    if (!socket->valid()) continue;
    sockets::prepareDatagrams(socket->get());
    listeners_.push_back(std::make_unique<Listener>(this, std::move(*socket)));
    deps_.context.loop.watch(listeners_.back()->fd.get(), EPOLLIN, listeners_.back().get());
  }
  deps_.context.shared.publishedSources.onRemoved([this](uint16_t inside, Context& home) {
    if (&home == &deps_.context) endPublished(inside);
    else deps_.context.loop.post([this, inside] { endPublished(inside); });
  });
}

OutboundUdp::~OutboundUdp() = default;

OutboundFlow* OutboundUdp::flowFor(const UdpBatch::Message& message) {
  Address asked = askedOf(message);
  auto it = flows_.find(FourTuple(message.from, asked));
  if (it != flows_.end()) return it->second;
  // Nothing can be sent to port 0 (RFC 768), nor in reply to it.
  if (asked.port() == 0 || message.from.port() == 0) return nullptr;
  size_t length = message.segment != 0 ? message.segment : message.length;
  Destination destination = deps_.egress.find(message.from, asked, IPPROTO_UDP);
  switch (destination.kind) {
    case Destination::Kind::dns: answerDns(message, asked); return nullptr;
    case Destination::Kind::none: refuse(message.from, asked, {length, destination.error}); return nullptr;
    case Destination::Kind::host: break;
  }
  return makeFlow(message.from, asked, destination, length);
}

OutboundFlow* OutboundUdp::makeFlow(const Address& client, const Address& asked, const Destination& destination,
                                    size_t length) {
  Context& context = deps_.context;
  if ((flows_.size() >= kMaxFlows || !context.fds.makeRoom(this, 1)) && !evictOne()) return nullptr;
  HostSources::Socket host = sources_.connect(client, destination.address);
  if (!host.fd.valid()) {
    if (!sockets::isShortage(host.error)) refuse(client, asked, {length, host.error});
    return nullptr;
  }
  if (flows_.empty()) {
    context.fds.setEvictable(this, true);
    context.loop.wantTicks(true);
  }
  auto* flow = new OutboundFlow(this, {client, asked, destination.address}, std::move(host));
  flows_.emplace(flow->key(), flow);
  flow->link();
  context.fds.acquire(this, 1);
  context.load++;
  counters_.open++;
  counters_.opened++;
  return flow;
}

void OutboundUdp::answerDns(const UdpBatch::Message& message, const Address& dns) {
  size_t size = message.segment != 0 ? message.segment : message.length;
  for (size_t at = 0; at < message.length; at += size) {
    deps_.onDnsQuery(std::string(message.data + at, std::min(size, message.length - at)), message.from, dns);
  }
}

void OutboundUdp::refuse(const Address& client, const Address& asked, const Refusal& refusal) {
  counters_.refused++;
  deps_.out.unreachable(quotedDatagram(client, asked, refusal.length), refusal.error, refusal.soft);
}

void OutboundUdp::send(const Address& from, const Address& to, std::string_view datagram) {
  iovec part{const_cast<char*>(datagram.data()), datagram.size()};
  out_.add({from, to}, &part, 1, 0);
  out_.flush();
}

void OutboundUdp::remove(OutboundFlow* flow) {
  Context& context = deps_.context;
  flows_.erase(flow->key());
  flow->unlink();
  flow->end();
  context.fds.release(this, 1);
  context.load--;
  counters_.open--;
  if (!flows_.empty()) return;
  context.fds.setEvictable(this, false);
  context.loop.wantTicks(false);
}

bool OutboundUdp::evictOne() {
  for (auto* list : {&young_, &streams_}) {
    if (list->empty()) continue;
    remove(list->front());
    return true;
  }
  return false;
}

template <typename Wanted>
void OutboundUdp::endAll(Wanted wanted) {
  std::vector<OutboundFlow*> ended;
  for (const auto& [key, flow] : flows_) {
    if (wanted(*flow)) ended.push_back(flow);
  }
  for (OutboundFlow* flow : ended) remove(flow);
}

void OutboundUdp::endPublished(uint16_t inside) {
  endAll([inside](const OutboundFlow& flow) { return flow.isPublished() && flow.client().port() == inside; });
}

void OutboundUdp::endOf(const Address& client) {
  endAll([&](const OutboundFlow& flow) { return flow.client().ipBytes() == client.ipBytes(); });
}

void OutboundUdp::tick() {
  uint64_t now = deps_.context.loop.now();
  if (flows_.empty() || now < nextScan_) return;
  nextScan_ = now + kScanMs;
  endAll([now](const OutboundFlow& flow) { return flow.isOver(now); });
}

void OutboundUdp::close() {
  deps_.context.shared.publishedSources.onRemoved({});
  for (const auto& listener : listeners_) {
    deps_.context.loop.unwatch(listener.get());
    listener->fd.reset();
  }
  while (evictOne()) continue;
}

void OutboundUdp::listFlows(std::vector<FlowReport>* flows) const {
  for (const auto& [key, flow] : flows_) flows->push_back(flow->report());
}

}  // namespace rn
