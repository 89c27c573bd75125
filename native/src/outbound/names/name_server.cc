#include "outbound/names/name_server.h"

#include <strings.h>
#include <algorithm>
#include <memory>
#include <utility>

#include "dns/answers/addresses.h"
#include "dns/answers/service_params.h"
#include "dns/message.h"
#include "dns/server/own_answer.h"
#include "system/sockets.h"

namespace rn {

namespace {

// As far as an answer shows it.
dns::Origin originOf(std::string_view reply) {
  dns::Header header;
  if (!dns::readHeader(reply, &header)) return dns::Origin::malformed;
  switch (header.rcode()) {
    case dns::Rcode::formErr:
    case dns::Rcode::notImp: return dns::Origin::malformed;
    case dns::Rcode::refused: return dns::Origin::refused;
    case dns::Rcode::servFail: return dns::Origin::lost;
    default: return dns::Origin::host;
  }
}

}  // namespace

void NameServer::serve(Fd connection, const Address& client, std::function<void()> onEnd) {
  if (streams_.size() >= kMostStreams) {
    sockets::closeWithReset(std::move(connection));
    return onEnd();
  }
  auto self = std::make_shared<DnsStream*>(nullptr);
  auto ask = [this, client](std::string query, DnsStream::Reply reply) {
    askHere(std::move(query), client, true, std::move(reply));
  };
  auto end = [this, self, onEnd = std::move(onEnd)] {
    streams_.erase(*self);
    onEnd();
  };
  *self = new DnsStream(context_.loop, std::move(connection), ask, end);
  streams_.insert(*self);
}

size_t NameServer::close() {
  auto streams = std::exchange(streams_, {});
  for (DnsStream* stream : streams) stream->close();
  return streams.size();
}

void NameServer::askHere(std::string query, const Address& client, bool tcp, Done done) {
  dns::QueryReport report;
  report.client = client;
  dns::Question question;
  dns::Rcode problem = dns::checkQuery(query, &question);
  bool valid = problem == dns::Rcode::noError;
  if (valid && reports_.wanted()) {
    report.name = question.name.text();
    report.type = question.type;
  }
  dns::Finding found;
  if (valid) found = dns::find(view_, view_.zones, question.name);
  if (found.kind != dns::Finding::Kind::unknown) {
    report.from = found.kind == dns::Finding::Kind::missing ? dns::Origin::missing : dns::Origin::own;
    reports_.add(std::move(report), context_.loop.now());
    return done(dns::ownAnswer(query, question, std::move(found), tcp, &random_));
  }
  if (reports_.wanted()) {
    done = [this, report = std::move(report), begin = context_.loop.now(),
            done = std::move(done)](std::string reply) mutable {
      report.from = originOf(reply);
      report.ms = context_.loop.now() - begin;
      reports_.add(std::move(report), context_.loop.now());
      done(std::move(reply));
    };
  }
  if (!valid) return done(dns::errorReply(query, problem));
  forward(std::move(query), question, {client, tcp}, std::move(done));
}

void NameServer::ask(std::string query, const Address& client, bool tcp, Done done) {
  dns::Question question;
  dns::Rcode problem = dns::checkQuery(query, &question);
  if (problem != dns::Rcode::noError) return done(dns::errorReply(query, problem));
  forward(std::move(query), question, {client, tcp}, std::move(done));
}

void NameServer::forward(std::string query, const dns::Question& question, const Asker& asker, Done done) {
  const Address& client = asker.client;
  if (egress_ != nullptr && !egress_->allowsName(client, question.name.text(), question.type)) {
    done(dns::errorReply(query, denied(question), dns::Reason::blocked));
    return;
  }
  std::string address(client.ipBytes());
  size_t& waiting = waiting_[address];
  if (waiting >= kMostOfClient) {
    done(dns::errorReply(query, dns::Rcode::servFail, dns::Reason::notReady));
    return;
  }
  waiting++;
  auto asked = std::make_shared<const std::string>(query);
  forwarder_.ask(std::move(query), asker.tcp,
                 [this, client, address, asked, done = std::move(done)](std::string reply) {
                   auto it = waiting_.find(address);
                   if (--it->second == 0) waiting_.erase(it);
                   done(reply.empty() ? reply : received(client, *asked, std::move(reply)));
                 });
}

dns::Rcode NameServer::denied(const dns::Question& question) const {
  if (dns::isMetatype(question.type)) return dns::Rcode::refused;
  std::string name = question.name.text();
  bool completed = std::any_of(search_.begin(), search_.end(), [&](const std::string& domain) {
    return name.size() > domain.size() && name[name.size() - domain.size() - 1] == '.' &&
           strcasecmp(name.c_str() + name.size() - domain.size(), domain.c_str()) == 0;
  });
  return completed ? dns::Rcode::nxDomain : dns::Rcode::refused;
}

std::string NameServer::received(const Address& client, std::string_view query, std::string reply) {
  if (egress_ == nullptr) return reply;
  dns::Question question;
  dns::Found found;
  bool watches = egress_->watchesNames(client);
  if (!dns::readQuestion(reply, &question) || !dns::findAddresses(reply, &found)) {
    return watches ? dns::errorReply(query, dns::Rcode::servFail) : reply;
  }
  if (!found.addresses.empty()) egress_->answered(client, question.name.text(), found.addresses, found.ttl);
  if (!watches) return reply;
  std::string without;
  switch (dns::removeEch(reply, &without)) {
    case dns::EchResult::none: return reply;
    case dns::EchResult::removed: return without;
    case dns::EchResult::malformed: break;
  }
  return dns::errorReply(query, dns::Rcode::servFail);
}

}  // namespace rn
