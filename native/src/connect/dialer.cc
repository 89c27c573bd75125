#include "dialer.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <algorithm>

#include "packet_channel.h"

namespace {
constexpr size_t kAnswersAtOnce = PacketChannel::kMaxFds;
constexpr size_t kMaxOutgoing = 8 * 1024;

// Where nothing listens on a local port that the kernel happens to choose for the client's side, a socket connects to
// itself (simultaneous open, RFC 9293, section 3.5).
bool isConnectedToItself(int fd, const Address& to) {
  // Below that no ports are chosen for clients (ip(7), ip_local_port_range).
  if (to.port() < 1024) return false;
  Address own;
  own.length = sizeof own.v6;
  return getsockname(fd, &own.sa, &own.length) == 0 && own.port() == to.port() && own.ip() == to.ip();
}
}  // namespace

// A connect(2) that takes its time.
class PendingConnect : public Handler, public Buriable {
 public:
  PendingConnect(Dialer& dialer, Dialer::Request request, std::vector<Address> addresses, size_t index, Fd fd)
      : dialer_(dialer), request_(request), addresses_(std::move(addresses)), index_(index), fd_(std::move(fd)) {
    dialer_.loop_.watch(fd_.get(), EPOLLOUT, this);
  }

  void onEvents(uint32_t) override {
    if (buried()) return;
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    dialer_.loop_.unwatch(fd_.get());
    dialer_.loop_.bury(this);
    if (error == 0 && !isConnectedToItself(fd_.get(), addresses_[index_])) {
      dialer_.answer(request_, std::move(fd_));
      return;
    }
    if (error == 0) {
      error = ECONNREFUSED;
      sockets::closeWithReset(std::move(fd_));
    }
    fd_.reset();
    dialer_.connectFrom(request_, addresses_, index_ + 1, error);
  }

 private:
  Dialer& dialer_;
  Dialer::Request request_;
  std::vector<Address> addresses_;
  size_t index_;
  Fd fd_;
};

bool Dialer::onPacket(uint32_t channel, std::string_view packet) {
  while (!packet.empty()) {
    wire::ConnectRequest in;
    if (!wire::decodeConnect(&packet, &in)) return false;
    take(channel, in);
  }
  return true;
}

void Dialer::take(uint32_t channel, const wire::ConnectRequest& in) {
  Request request{channel, in.id, in.proto == "udp" ? SOCK_DGRAM : SOCK_STREAM, in.attempt, {}};
  if (!Address::parse(std::string(in.sourceIP), uint16_t(in.sourcePort), &request.source)) request.source = {};
  std::string target(in.target);
  auto [it, isNew] = plans_.try_emplace(target);
  if (it->second.known) {
    serve(target, request, it->second);
    return;
  }
  it->second.waiting.push_back(request);
  if (isNew) onPlanWanted_(target);
}

void Dialer::setPlan(const std::string& target, std::vector<Address> addresses, bool keepSource) {
  Plan& plan = plans_[target];
  plan.known = true;
  plan.keepSource = keepSource;
  plan.v4First = plan.v6First = plan.addresses = std::move(addresses);
  auto first = [](std::vector<Address>* list, sa_family_t family) {
    std::stable_partition(list->begin(), list->end(), [&](const Address& a) { return a.family() == family; });
  };
  first(&plan.v4First, AF_INET);
  first(&plan.v6First, AF_INET6);
  std::vector<Request> waiting;
  waiting.swap(plan.waiting);
  for (const Request& request : waiting) serve(target, request, plan);
}

void Dialer::setClient(const std::string& target, const std::string& ip, bool keep) {
  auto it = plans_.find(target);
  if (it == plans_.end()) return;
  Plan& plan = it->second;
  plan.clients[ip] = keep;
  std::vector<Request> waiting;
  auto parked = plan.waitingClients.find(ip);
  if (parked != plan.waitingClients.end()) {
    waiting.swap(parked->second);
    plan.waitingClients.erase(parked);
  }
  for (const Request& request : waiting) serve(target, request, plan);
}

void Dialer::forgetPlans() {
  for (auto it = plans_.begin(); it != plans_.end();) it = it->second.idle() ? plans_.erase(it) : std::next(it);
}

void Dialer::forgetPlan(const std::string& target) {
  auto it = plans_.find(target);
  // Those who wait belong to another port with the same target, which has come meanwhile.
  if (it != plans_.end() && it->second.idle()) plans_.erase(it);
}

void Dialer::forgetClients() {
  for (auto& [target, plan] : plans_) plan.clients.clear();
}

void Dialer::serve(const std::string& target, Request request, Plan& plan) {
  bool known = request.source.length > 0 && !request.source.isLoopback();
  if (!plan.keepSource || !known) {
    dial(request, plan.addresses);
    return;
  }
  std::string ip = request.source.ip();
  auto client = plan.clients.find(ip);
  if (client == plan.clients.end()) {
    auto [it, isNew] = plan.waitingClients.try_emplace(ip);
    it->second.push_back(request);
    if (isNew) onClientWanted_(target, ip);
    return;
  }
  request.keepSource = client->second;
  if (!request.keepSource) {
    dial(request, plan.addresses);
  } else {
    dial(request, request.source.family() == AF_INET ? plan.v4First : plan.v6First);
  }
}

void Dialer::dial(const Request& request, const std::vector<Address>& addresses) {
  if (request.type == SOCK_STREAM) {
    connectFrom(request, addresses, request.attempt, ECONNREFUSED);
    return;
  }
  if (request.attempt >= addresses.size()) {
    refuse(request, ECONNREFUSED, addresses.empty() ? nullptr : &addresses.back());
    return;
  }
  const Address& to = addresses[request.attempt];
  Fd fd = open(request, to, request.keepSource && request.source.family() == to.family());
  if (errno != 0) {
    refuse(request, errno, &to);
    return;
  }
  answer(request, std::move(fd));
}

Fd Dialer::open(const Request& request, const Address& to, bool keepSource) {
  Fd fd(socket(to.family(), request.type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fd;
  if (request.type == SOCK_STREAM) {
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (to.isLoopback()) sockets::setCongestion(fd.get(), congestion_);
  }
  if (keepSource && !sockets::bindTransparently(fd.get(), request.type, request.source, to)) {
    return open(request, to, false);
  }
  if (connect(fd.get(), &to.sa, to.length) == 0) {
    errno = 0;
    return fd;
  }
  // Such a connection is there, through another published port, or was a moment ago (TIME_WAIT). The client is still who he
  // is, with another port.
  if (keepSource && errno == EADDRNOTAVAIL && request.source.port() != 0) {
    Request again = request;
    again.source.setPort(0);
    return open(again, to, true);
  }
  // There is no way from that address.
  if (keepSource && (errno == EADDRNOTAVAIL || errno == EINVAL || errno == ENETUNREACH || errno == EHOSTUNREACH)) {
    return open(request, to, false);
  }
  return fd;
}

void Dialer::connectFrom(const Request& request, const std::vector<Address>& addresses, size_t index, int lastError) {
  for (; index < addresses.size(); index++) {
    const Address& to = addresses[index];
    Fd fd = open(request, to, request.keepSource && request.source.family() == to.family());
    if (!fd.valid()) {
      // No IPv6 here (EAFNOSUPPORT): the next address may do. No descriptors: nothing will.
      lastError = errno;
      if (lastError == EMFILE || lastError == ENFILE) break;
      continue;
    }
    // To a local address the handshake is over by now; asking again tells.
    if (errno == EINPROGRESS) errno = connect(fd.get(), &to.sa, to.length) == 0 ? 0 : errno;
    if (errno == 0 || errno == EISCONN) {
      if (!isConnectedToItself(fd.get(), to)) {
        answer(request, std::move(fd));
        return;
      }
      sockets::closeWithReset(std::move(fd));
      lastError = ECONNREFUSED;
      continue;
    }
    if (errno == EALREADY || errno == EINPROGRESS) {
      new PendingConnect(*this, request, addresses, index, std::move(fd));
      say(request.channel, {wire::Answer::Kind::pending, request.id}, Fd());
      return;
    }
    lastError = errno;
  }
  refuse(request, lastError, addresses.empty() ? nullptr : &addresses.back());
}

void Dialer::answer(const Request& request, Fd fd) {
  say(request.channel, {wire::Answer::Kind::connected, request.id}, std::move(fd));
}

void Dialer::refuse(const Request& request, int error, const Address* address) {
  std::string message = "connect";
  if (address != nullptr) message += " " + address->text();
  message += std::string(": ") + strerror(error);
  say(request.channel, {wire::Answer::Kind::failed, request.id, error, message}, Fd());
}

void Dialer::say(uint32_t channel, const wire::Answer& answer, Fd fd) {
  if (outgoing_.channel != channel) flush();
  outgoing_.channel = channel;
  outgoing_.data += wire::encodeAnswer(answer);
  if (fd.valid()) outgoing_.fds.push_back(std::move(fd));
  // Not all at once: the parent goes on with these meanwhile.
  if (outgoing_.fds.size() == kAnswersAtOnce || outgoing_.data.size() > kMaxOutgoing) flush();
}

void Dialer::flush() {
  if (outgoing_.data.empty()) return;
  reply_(outgoing_.channel, std::move(outgoing_.data), std::move(outgoing_.fds));
  outgoing_.data.clear();
  outgoing_.fds.clear();
}
