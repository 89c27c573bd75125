#include "dns/server/servers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <algorithm>
#include <utility>

#include "dns/link/name_wire.h"
#include "dns/message.h"
#include "dns/server/own_answer.h"

namespace rn {

namespace dns {

std::string Servers::open(uint32_t network, const std::vector<Address>& gateways, Zone zone) {
  Network opened;
  opened.zone = std::move(zone);
  std::string problem;
  for (const Address& gateway : gateways) {
    for (int type : {SOCK_DGRAM, SOCK_STREAM}) {
      std::string key = (type == SOCK_DGRAM ? "udp " : "tcp ") + gateway.text();
      auto kept = kept_.find(key);
      Fd fd = kept != kept_.end() ? std::move(kept->second) : Listener::bindTo(gateway, type);
      bool isNew = kept == kept_.end();
      if (!isNew) kept_.erase(kept);
      if (!fd.valid()) {
        problem = "cannot listen at " + gateway.text() + ": " + strerror(errno);
        break;
      }
      if (isNew) keep(key, fd.get());
      listen(&opened, network, key, std::move(fd), type);
    }
    if (!problem.empty()) break;
  }
  add(network, std::move(opened));
  if (!problem.empty()) close(network);
  return problem;
}

void Servers::listen(Network* opened, uint32_t network, const std::string& key, Fd fd, int type) {
  auto ask = [this, network](std::string query, const Address& client, bool tcp, Listener::Reply reply) {
    this->ask(network, std::move(query), client, tcp,
              [reply = std::move(reply)](std::string message, Origin) { reply(std::move(message)); });
  };
  auto* listener = new Listener(loop_, std::move(fd), type, ask);
  opened->listeners[key] = listener;
  if (settled_) listener->start();
}

void Servers::add(uint32_t network, Network opened) {
  networks_[network] = std::move(opened);
  findZones();
}

void Servers::findZones() {
  zones_.clear();
  for (const auto& [id, network] : networks_) zones_.push_back(&network.zone);
}

void Servers::adopt(uint32_t network, Fd datagrams, Fd connections, Zone zone) {
  Network opened;
  opened.zone = std::move(zone);
  settled_ = true;
  listen(&opened, network, "udp", std::move(datagrams), SOCK_DGRAM);
  listen(&opened, network, "tcp", std::move(connections), SOCK_STREAM);
  add(network, std::move(opened));
}

void Servers::keep(const std::string& key, int fd) {
  std::vector<Fd> fds;
  if (fd >= 0) {
    fds.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    // Without descriptors to spare only its restart is noticed.
    if (!fds.back().valid()) return;
  }
  send_(name_wire::encodeSocket(key), std::move(fds));
}

void Servers::close(uint32_t network) {
  auto it = networks_.find(network);
  if (it == networks_.end()) return;
  for (const auto& [key, listener] : it->second.listeners) {
    listener->close();
    keep(key, -1);
  }
  networks_.erase(it);
  findZones();
}

void Servers::settled() {
  if (settled_) return;
  settled_ = true;
  for (const auto& [id, network] : networks_) {
    for (const auto& [key, listener] : network.listeners) listener->start();
  }
  for (const auto& [key, fd] : std::exchange(kept_, {})) keep(key, -1);
}

void Servers::closeAll() {
  for (auto& [id, network] : networks_) {
    for (const auto& [key, listener] : network.listeners) listener->close();
  }
  networks_.clear();
  zones_.clear();
  clients_.clear();
  waiting_.clear();
  kept_.clear();
}

void Servers::setZone(uint32_t network, Zone zone) {
  auto it = networks_.find(network);
  if (it != networks_.end()) it->second.zone = std::move(zone);
}

void Servers::setClient(const Address& address, Client client) {
  Known& known = clients_[AddressNumber::of(address)];
  endForwarder(&known, address);
  if (!client.servers.empty()) {
    known.forwarder = std::make_unique<DnsForwarder>(loop_, nullptr, client.netns);
    known.forwarder->setResolvers(client.servers);
  }
  known.client = std::move(client);
}

void Servers::removeClient(const Address& address) {
  auto it = clients_.find(AddressNumber::of(address));
  if (it == clients_.end()) return;
  endForwarder(&it->second, address);
  clients_.erase(it);
}

// Queries on their way are not answered.
void Servers::endForwarder(Known* known, const Address& address) {
  if (!known->forwarder) return;
  shares_.forget(AddressNumber::of(address));
  forwarded_ -= known->forwarder->outstanding();
  known->forwarder.reset();
}

Servers::Counters Servers::counters(uint32_t network) const {
  auto it = networks_.find(network);
  return it == networks_.end() ? Counters() : it->second.counters;
}

bool Servers::viewOf(uint32_t network, const Address& client, View* view) const {
  auto asked = networks_.find(network);
  if (asked == networks_.end()) return false;
  AddressNumber number = AddressNumber::of(client);
  auto known = clients_.find(number);
  if (known == clients_.end()) {
    for (const auto& [id, other] : networks_) {
      if (id != network && other.zone.contains(number) && !asked->second.zone.contains(number)) return false;
    }
    view->zones = {&asked->second.zone};
    view->outside = asked->second.zone.outside();
    view->only = asked->second.zone.only();
    return true;
  }
  const Client& own = known->second.client;
  view->outside = own.outside;
  for (uint32_t id : own.networks) {
    auto it = networks_.find(id);
    if (it != networks_.end()) view->zones.push_back(&it->second.zone);
  }
  // Not at the gateway of a network that it is not on.
  return std::find(own.networks.begin(), own.networks.end(), network) != own.networks.end();
}

void Servers::ask(uint32_t network, std::string query, const Address& client, bool tcp, Done done) {
  QueryReport report;
  report.network = network;
  report.client = client;
  auto reply = [&](std::string message, Origin from) {
    report.from = from;
    answered(report);
    done(std::move(message), from);
  };
  Question question;
  Rcode wrong = checkQuery(query, &question);
  if (wrong != Rcode::noError) return reply(errorReply(query, wrong), Origin::malformed);
  if (reports_.wanted()) report.name = question.name.text();
  report.type = question.type;
  View view;
  if (!viewOf(network, client, &view)) {
    return reply(errorReply(query, Rcode::refused, Reason::blocked), Origin::refused);
  }
  Finding found = find(view, zones_, question.name);
  if (found.kind != Finding::Kind::unknown) {
    Origin from = found.kind == Finding::Kind::missing ? Origin::missing : Origin::own;
    return reply(ownAnswer(query, question, std::move(found), tcp, &random_), from);
  }
  if (view.only) return reply(errorReply(query, Rcode::refused, Reason::blocked), Origin::refused);
  if (!view.outside) return reply(errorReply(query, Rcode::nxDomain), Origin::internal);
  forward(std::move(query), client, tcp,
          [this, report = std::move(report), begin = loop_.now(), done = std::move(done)](std::string message,
                                                                                          Origin from) mutable {
            report.from = from;
            report.ms = loop_.now() - begin;
            answered(report);
            done(std::move(message), from);
          });
}

void Servers::answered(const QueryReport& report) {
  auto it = networks_.find(report.network);
  if (it != networks_.end()) it->second.counters.from[size_t(report.from)]++;
  if (reports_.wanted()) reports_.add(report, loop_.now());
}

void Servers::forward(std::string query, const Address& client, bool tcp, Done done) {
  AddressNumber number = AddressNumber::of(client);
  if (waiting_.size() + forwarded_ >= kMaxWaiting || !shares_.take(number, loop_.now())) {
    return done(errorReply(query, Rcode::servFail, Reason::notReady), Origin::limited);
  }
  auto reply = [this, number, done = std::move(done)](std::string message, Origin from) {
    shares_.giveBack(number);
    done(std::move(message), from);
  };
  auto known = clients_.find(number);
  if (known == clients_.end() || !known->second.forwarder) {
    return askParent(std::move(query), client, tcp, std::move(reply));
  }
  forwarded_++;
  known->second.forwarder->ask(std::move(query), tcp, [this, reply = std::move(reply)](std::string message) {
    forwarded_--;
    reply(std::move(message), Origin::servers);
  });
}

void Servers::askParent(std::string query, const Address& client, bool tcp, Done done) {
  do lastId_++;
  while (waiting_.count(lastId_) != 0);
  if (waiting_.empty()) loop_.wantTicks(true);
  std::string ip = client.ip();
  std::string packet = name_wire::encode(name_wire::Query{lastId_, tcp, ip, query});
  waiting_[lastId_] = {std::move(query), std::move(done), loop_.now() + kTimeoutMs};
  send_(std::move(packet), {});
}

void Servers::finish(uint32_t id, std::string reply, Origin from) {
  auto it = waiting_.find(id);
  if (it == waiting_.end()) return;
  Waiting waiting = std::move(it->second);
  waiting_.erase(it);
  if (waiting_.empty()) loop_.wantTicks(false);
  if (reply.empty()) reply = errorReply(waiting.query, Rcode::servFail, Reason::noReachableAuthority);
  waiting.done(std::move(reply), from);
}

bool Servers::onPacket(std::string_view packet, std::vector<Fd>* fds) {
  std::string_view key;
  if (name_wire::decodeSocket(packet, &key)) {
    if (fds->size() == 1) kept_[std::string(key)] = std::move(fds->front());
    fds->clear();
    return true;
  }
  name_wire::Reply reply;
  if (!fds->empty() || !name_wire::decode(packet, &reply)) return false;
  finish(reply.id, std::string(reply.message), Origin::host);
  return true;
}

void Servers::tick() {
  std::vector<uint32_t> late;
  for (const auto& [id, waiting] : waiting_) {
    if (loop_.now() >= waiting.deadline) late.push_back(id);
  }
  for (uint32_t id : late) finish(id, "", Origin::lost);
}

}  // namespace dns

}  // namespace rn
