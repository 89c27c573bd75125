#include "outbound/gateway.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <utility>

#include "loop/closer.h"

namespace rn {

Gateway::Gateway(Context& context, GatewayOptions options)
    : context_(context),
      packets_(std::move(options.packets)),
      out_(std::move(options.out)),
      egress_(context, std::move(options.destinations)),
      names_(context, &egress_),
      tcp_({context, out_, egress_, *this,
            [this](Fd client, const Address& address) { serveDns(std::move(client), address); }},
           std::move(options.tcp4), std::move(options.tcp6)),
      udp_({context, out_, egress_,
            [this](std::string query, const Address& client, const Address& dns) {
              answerDns(std::move(query), client, dns);
            }},
           std::move(options.udp4), std::move(options.udp6)),
      echo_({context, out_, egress_}) {
  context_.loop.watch(packets_.get(), EPOLLIN, this);
}

void Gateway::close() {
  context_.loop.unwatch(this);
  closer::leaveToKernel(std::move(packets_));
  out_.close();
  tcp_.close();
  udp_.close();
  context_.fds.release(this, names_.close() * HeldSyns::kDescriptors);
  echo_.close();
}

CounterTotals Gateway::counters() const {
  CounterTotals totals = tcp_.counters();
  udp_.counters().addTo(&totals);
  return totals;
}

void Gateway::tick() {
  tcp_.tick();
  udp_.tick();
  echo_.tick();
}

void Gateway::onEvents(uint32_t) {
  char* buffer = context_.buffer.get();
  static_assert(kPacket <= Context::kBufferSize);
  for (int i = 0; i < kPacketsAtOnce && packets_.valid(); i++) {
    ssize_t n = recv(packets_.get(), buffer, kPacket, MSG_DONTWAIT);
    if (n < 0) return;
    progress();
    Packet packet;
    if (parseFrame({buffer, size_t(n)}, &packet)) onPacket(packet);
  }
}

void Gateway::onPacket(const Packet& packet) {
  if (packet.isSyn()) tcp_.onSyn(packet);
  else echo_.onPacket(packet);
}

std::vector<FlowReport> Gateway::flows(const Context& thread) const {
  std::vector<FlowReport> flows;
  tcp_.listFlows(thread, &flows);
  if (&thread == &context_) udp_.listFlows(&flows);
  return flows;
}

bool Gateway::setSource(uint32_t id, const std::vector<Address>& addresses, const std::vector<std::string>& policies) {
  std::vector<Address> taken;
  if (!egress_.sources().set(id, addresses, policies, &taken)) return false;
  endOf(taken);
  return true;
}

void Gateway::removeSource(uint32_t id) {
  std::vector<Address> left;
  egress_.sources().remove(id, &left);
  endOf(left);
}

void Gateway::endOf(const std::vector<Address>& clients) {
  for (const Address& client : clients) {
    tcp_.endOf(client);
    udp_.endOf(client);
    echo_.endOf(client);
  }
}

void Gateway::serveDns(Fd connection, const Address& client) {
  names_.serve(std::move(connection), client, [this] { context_.fds.release(this, HeldSyns::kDescriptors); });
}

void Gateway::answerDns(std::string query, const Address& client, const Address& dns) {
  names_.askHere(std::move(query), client, false, [this, client, dns](const std::string& reply) {
    if (!reply.empty() && packets_.valid()) udp_.send(dns, client, reply);
  });
}

}  // namespace rn
