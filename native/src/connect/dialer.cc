#include "connect/dialer.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <algorithm>

#include "connect/packet_channel.h"
#include "netlink/netns.h"

namespace rn {

namespace {
constexpr size_t kAnswersAtOnce = PacketChannel::kUsualFds;
constexpr size_t kMaxOutgoing = 8 * 1024;
// The most clients that are stored for one target; then they are requested again.
constexpr size_t kMaxClients = 16 * 1024;
// How long the result that a client's address cannot be kept is valid, in ms: a container may get a return path by changes
// inside of it.
constexpr uint64_t kHiddenMs = 1000;

Address withPort(Address address, uint16_t port) {
  address.setPort(port);
  return address;
}

// A socket in that network namespace; in this one without `netns`. Invalid, with errno, on failure.
Fd makeSocket(int family, int type, const Fd* netns) {
  if (netns == nullptr) return Fd(socket(family, type, 0));
  int fd = -1;
  int error = netns::in(netns->get(), [&] {
    fd = socket(family, type, 0);
    return fd < 0 ? errno : 0;
  });
  errno = error;
  return Fd(fd);
}

// A TCP socket with the options that a relay needs, for any connection.
Fd makeTcp(int family, const Fd* netns) {
  Fd fd = makeSocket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, netns);
  if (!fd.valid()) return fd;
  int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockets::keepUrgentInLine(fd.get());
  return fd;
}
}  // namespace

class Dialer::OwnSockets : public Sockets {
 public:
  OwnSockets(Dialer& dialer, const Fd* netns) : dialer_(dialer), netns_(netns) {}

  Fd make(int type, const Address& to) override {
    if (type != SOCK_STREAM) return makeSocket(to.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, netns_);
    Fd fd = makeTcp(to.family(), netns_);
    if (fd.valid() && (to.isLoopback() || netns_ != nullptr)) {
      sockets::setCongestion(fd.get(), dialer_.options_.congestion);
    }
    return fd;
  }
  int connect(int fd, const Address& to) override { return ::connect(fd, &to.sa, to.length) == 0 ? 0 : errno; }
  void discard(Fd fd) override { fd.reset(); }
  ReturnPaths::Result leadBack(int fd, const Address& to, const Outgoing& out) override {
    if (out.type != SOCK_DGRAM || out.mark == 0) return ReturnPaths::Result::made;
    return dialer_.paths_.add(fd, to, out.mark);
  }

 private:
  Dialer& dialer_;
  const Fd* netns_;
};

class Dialer::PendingRequest : public PendingConnect {
 public:
  PendingRequest(Dialer& dialer, Request request, Addresses addresses, TcpConnect connect)
      : PendingConnect(dialer.loop_, std::move(connect)),
        dialer_(dialer),
        request_(std::move(request)),
        addresses_(std::move(addresses)),
        sockets_(dialer, request_.netns.get()) {}

 protected:
  Sockets& sockets() override { return sockets_; }
  void onDone(TcpConnect& connect, TcpConnect::State state) override {
    dialer_.settle(request_, addresses_, connect, state);
  }

 private:
  Dialer& dialer_;
  Request request_;
  Addresses addresses_;
  OwnSockets sockets_;
};

bool Dialer::onPacket(uint32_t channel, std::string_view packet, std::vector<Fd> fds) {
  while (!packet.empty()) {
    wire::Request in;
    if (!wire::decodeRequest(&packet, &in)) return false;
    if (in.kind == wire::kEpoch) {
      if (fds.size() == 1) epoch_.publish(std::move(fds[0]));
    } else if (in.kind == wire::kSockets) {
      sendSockets(channel, in);
    } else {
      take(channel, in);
    }
  }
  return true;
}

void Dialer::take(uint32_t channel, const wire::Request& in) {
  Request request{channel, in.id, in.attempt, {}, in.kind == wire::kRoute};
  request.out.type = in.proto == "udp" ? SOCK_DGRAM : SOCK_STREAM;
  request.out.port = uint16_t(in.port);
  Address& source = request.out.source;
  if (!Address::parse(std::string(in.sourceIP), uint16_t(in.sourcePort), &source)) source = {};
  std::string target(in.target);
  auto [it, isNew] = plans_.try_emplace(target);
  if (it->second.known) {
    serve(target, request, it->second);
    return;
  }
  it->second.waiting.push_back(request);
  if (isNew) options_.onPlanWanted(target);
}

void Dialer::setPlan(const std::string& target, Plan found) {
  KnownPlan& plan = plans_[target];
  plan.known = true;
  plan.keepSource = found.keepSource;
  plan.epoch = found.epoch;
  plan.netns = found.netns.valid() ? std::make_shared<Fd>(std::move(found.netns)) : nullptr;
  auto first = [&](sa_family_t family) {
    auto list = std::make_shared<std::vector<Address>>(found.addresses);
    std::stable_partition(list->begin(), list->end(), [&](const Address& a) { return a.family() == family; });
    return list;
  };
  plan.v4First = first(AF_INET);
  plan.v6First = first(AF_INET6);
  plan.addresses = std::make_shared<const std::vector<Address>>(std::move(found.addresses));
  std::vector<Request> waiting;
  waiting.swap(plan.waiting);
  for (const Request& request : waiting) serve(target, request, plan);
}

void Dialer::setClient(const std::string& target, const std::string& ip, bool keep, uint32_t mark) {
  auto it = plans_.find(target);
  if (it == plans_.end()) return;
  KnownPlan& plan = it->second;
  if (plan.clients.size() >= kMaxClients) plan.clients.clear();
  plan.clients[ip] = {keep, mark, keep ? 0 : loop_.now() + kHiddenMs};
  std::vector<Request> waiting;
  auto parked = plan.waitingClients.find(ip);
  if (parked != plan.waitingClients.end()) {
    waiting.swap(parked->second);
    plan.waitingClients.erase(parked);
  }
  for (const Request& request : waiting) serve(target, request, plan);
}

void Dialer::forgetPlans() {
  std::vector<std::string> wanted;
  for (auto it = plans_.begin(); it != plans_.end();) {
    KnownPlan& plan = it->second;
    if (plan.idle()) {
      it = plans_.erase(it);
      continue;
    }
    // Plans that were requested already will come.
    if (plan.known) wanted.push_back(it->first);
    plan.known = false;
    plan.clients.clear();
    for (auto& [ip, requests] : plan.waitingClients) {
      std::move(requests.begin(), requests.end(), std::back_inserter(plan.waiting));
    }
    plan.waitingClients.clear();
    it++;
  }
  for (const std::string& target : wanted) options_.onPlanWanted(target);
}

void Dialer::forgetPlan(const std::string& target) {
  auto it = plans_.find(target);
  // Waiting requests belong to another port with the same target, which was added meanwhile.
  if (it != plans_.end() && it->second.idle()) plans_.erase(it);
}

void Dialer::serve(const std::string& target, Request request, KnownPlan& plan) {
  request.netns = plan.netns;
  const Address& source = request.out.source;
  const Addresses& addresses = source.length == 0           ? plan.addresses
                               : source.family() == AF_INET ? plan.v4First
                                                            : plan.v6First;
  bool perClient = plan.keepSource && source.length != 0 && !source.isLoopback();
  if (perClient) {
    std::string ip = source.ip();
    auto client = plan.clients.find(ip);
    if (client == plan.clients.end() || (client->second.until != 0 && loop_.now() >= client->second.until)) {
      auto [it, isNew] = plan.waitingClients.try_emplace(ip);
      it->second.push_back(request);
      if (isNew) options_.onClientWanted(target, ip);
      return;
    }
    request.out.keepSource = client->second.keep;
    request.out.mark = client->second.mark;
  }
  if (request.wantsRoute) {
    sendRoute(request, plan, addresses, perClient);
  } else {
    dial(request, addresses);
  }
}

void Dialer::dial(const Request& request, const Addresses& addresses) {
  if (request.out.type == SOCK_STREAM) {
    connect(request, addresses);
    return;
  }
  if (request.attempt >= addresses->size()) {
    refuse(request, ECONNREFUSED, addresses);
    return;
  }
  Address to = withPort((*addresses)[request.attempt], request.out.port);
  OwnSockets own(*this, request.netns.get());
  int error = 0;
  Fd fd = openTo(own, request.out, to, &error);
  if (fd.valid()) {
    answer(request, std::move(fd));
  } else {
    refuse(request, error, std::make_shared<const std::vector<Address>>(1, to));
  }
}

void Dialer::connect(const Request& request, const Addresses& addresses) {
  OwnSockets own(*this, request.netns.get());
  TcpConnect attempt(request.out, addresses, request.attempt);
  TcpConnect::State state = attempt.start(own);
  if (state == TcpConnect::State::pending) {
    new PendingRequest(*this, request, addresses, std::move(attempt));
    sendAnswer(request.channel, {wire::Answer::Kind::pending, request.id}, Fd());
    return;
  }
  settle(request, addresses, attempt, state);
}

void Dialer::settle(const Request& request, const Addresses& addresses, TcpConnect& connect, TcpConnect::State state) {
  if (state == TcpConnect::State::connected) {
    answer(request, std::move(connect.fd));
  } else {
    refuse(request, connect.error(), addresses);
  }
}

// Without addresses where the parent cannot use them: it then requests each connection.
void Dialer::sendRoute(const Request& request, const KnownPlan& plan, const Addresses& addresses, bool perClient) {
  wire::Answer route{wire::Answer::Kind::route, request.id};
  route.epoch = plan.epoch;
  route.perClient = perClient;
  route.keepSource = request.out.keepSource;
  route.mark = request.out.mark;
  std::vector<std::string> ips;
  // That a client's address cannot be kept is valid for a moment only.
  bool lasts = plan.netns == nullptr && perClient == request.out.keepSource;
  if (lasts && addresses->size() <= wire::kMaxAddresses) {
    for (const Address& address : *addresses) ips.push_back(address.ip());
  }
  route.ips.assign(ips.begin(), ips.end());
  sendAnswer(request.channel, route, Fd());
}

void Dialer::sendSockets(uint32_t channel, const wire::Request& in) {
  std::vector<Fd> fds;
  while (fds.size() < std::min(size_t(in.count), PacketChannel::kMaxFds)) {
    Fd fd = makeTcp(in.family == 4 ? AF_INET : AF_INET6, nullptr);
    // No IPv6, or no descriptors: the parent can do without.
    if (!fd.valid()) break;
    fds.push_back(std::move(fd));
  }
  flush();
  options_.reply(channel, wire::encodeAnswer({wire::Answer::Kind::sockets, in.id}), std::move(fds));
}

void Dialer::answer(const Request& request, Fd fd) {
  sendAnswer(request.channel, {wire::Answer::Kind::connected, request.id}, std::move(fd));
}

void Dialer::refuse(const Request& request, int error, const Addresses& addresses) {
  std::string message = "connect";
  if (!addresses->empty()) message += " " + withPort(addresses->back(), request.out.port).text();
  message += std::string(": ") + strerror(error);
  sendAnswer(request.channel, {wire::Answer::Kind::failed, request.id, error, message}, Fd());
}

void Dialer::sendAnswer(uint32_t channel, const wire::Answer& answer, Fd fd) {
  if (outgoing_.channel != channel) flush();
  outgoing_.channel = channel;
  outgoing_.data += wire::encodeAnswer(answer);
  if (fd.valid()) outgoing_.fds.push_back(std::move(fd));
  // Not all at once: the parent handles these meanwhile.
  if (outgoing_.fds.size() == kAnswersAtOnce || outgoing_.data.size() > kMaxOutgoing) flush();
}

void Dialer::flush() {
  if (outgoing_.data.empty()) return;
  options_.reply(outgoing_.channel, std::move(outgoing_.data), std::move(outgoing_.fds));
  outgoing_.data.clear();
  outgoing_.fds.clear();
}

}  // namespace rn
