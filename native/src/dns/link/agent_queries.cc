#include "dns/link/agent_queries.h"

#include <utility>

#include "dns/link/name_wire.h"
#include "dns/message.h"

namespace rn {

bool AgentQueries::onPacket(PacketChannel* channel, std::string_view packet, std::vector<Fd>* fds) {
  name_wire::Query query;
  Address client;
  if (sockets_.onPacket(packet, fds)) return true;
  if (!fds->empty()) return false;
  if (!name_wire::decode(packet, &query) || !Address::parse(std::string(query.client), 0, &client)) return false;
  if (!agent_) agent_ = std::make_shared<Agent>(Agent{channel});
  if (channel->backlog() > kMaxBacklog) return true;
  auto reply = [agent = agent_, id = query.id](const std::string& message) {
    agent->waiting--;
    if (agent->channel == nullptr) return;
    name_wire::Reply answer{id, message.size() > name_wire::kMaxReply ? std::string_view() : message};
    agent->channel->send(name_wire::encode(answer), {});
  };
  std::string message(query.message);
  agent_->waiting++;
  if (agent_->waiting > kMaxWaiting) {
    reply(dns::errorReply(message, dns::Rcode::servFail, dns::Reason::notReady));
    return true;
  }
  ask_(std::move(message), client, query.tcp, reply);
  return true;
}

void AgentQueries::setChannel(PacketChannel* channel) {
  if (agent_) agent_->channel = nullptr;
  agent_.reset();
  if (channel != nullptr) sockets_.giveTo(channel);
}

}  // namespace rn
