#include "connect/dialer.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <algorithm>

#include "connect/packet_channel.h"
#include "netlink/netns.h"

namespace rn {

namespace {
constexpr size_t kAnswersAtOnce = PacketChannel::kMaxFds;
constexpr size_t kMaxOutgoing = 8 * 1024;
// The most clients that are stored for one target; then they are requested again.
constexpr size_t kMaxClients = 16 * 1024;
// How long the result that a client's address cannot be kept is valid, in ms: a container may get a return path by changes
// inside of it.
constexpr uint64_t kHiddenMs = 1000;

// If there is no listener on a local port, and the kernel happens to choose that port for the client's side, a socket
// connects to itself (simultaneous open, RFC 9293, section 3.5).
bool isConnectedToItself(int fd, const Address& to) {
  // Below that no ports are chosen for clients (ip(7), ip_local_port_range).
  if (to.port() < 1024) return false;
  Address own;
  own.length = sizeof own.v6;
  return getsockname(fd, &own.sa, &own.length) == 0 && own.port() == to.port() && own.ip() == to.ip();
}

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
}  // namespace

// A connect(2) in progress.
class PendingConnect : public Handler, public DeferredDelete {
 public:
  PendingConnect(Dialer& dialer, Dialer::Request request, std::vector<Address> addresses, size_t index, Fd fd)
      : dialer_(dialer),
        request_(std::move(request)),
        addresses_(std::move(addresses)),
        index_(index),
        fd_(std::move(fd)) {
    dialer_.loop_.watch(fd_.get(), EPOLLOUT, this);
  }

  void onEvents(uint32_t) override {
    if (isDeleted()) return;
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    dialer_.loop_.unwatch(this);
    dialer_.loop_.deleteLater(this);
    if (error == 0 && !isConnectedToItself(fd_.get(), withPort(addresses_[index_], request_.port))) {
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
  Request request{channel, in.id, in.proto == "udp" ? SOCK_DGRAM : SOCK_STREAM, uint16_t(in.port), in.attempt, {}};
  if (!Address::parse(std::string(in.sourceIP), uint16_t(in.sourcePort), &request.source)) request.source = {};
  std::string target(in.target);
  auto [it, isNew] = plans_.try_emplace(target);
  if (it->second.known) {
    serve(target, request, it->second);
    return;
  }
  it->second.waiting.push_back(request);
  if (isNew) options_.onPlanWanted(target);
}

void Dialer::setPlan(const std::string& target, std::vector<Address> addresses, bool keepSource, Fd netns) {
  Plan& plan = plans_[target];
  plan.known = true;
  plan.keepSource = keepSource;
  plan.netns = netns.valid() ? std::make_shared<Fd>(std::move(netns)) : nullptr;
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

void Dialer::setClient(const std::string& target, const std::string& ip, bool keep, uint32_t mark) {
  auto it = plans_.find(target);
  if (it == plans_.end()) return;
  Plan& plan = it->second;
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
    Plan& plan = it->second;
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

void Dialer::serve(const std::string& target, Request request, Plan& plan) {
  request.netns = plan.netns;
  if (request.source.length == 0) {
    dial(request, plan.addresses);
    return;
  }
  const std::vector<Address>& addresses = request.source.family() == AF_INET ? plan.v4First : plan.v6First;
  if (!plan.keepSource || request.source.isLoopback()) {
    dial(request, addresses);
    return;
  }
  std::string ip = request.source.ip();
  auto client = plan.clients.find(ip);
  if (client == plan.clients.end() || (client->second.until != 0 && loop_.now() >= client->second.until)) {
    auto [it, isNew] = plan.waitingClients.try_emplace(ip);
    it->second.push_back(request);
    if (isNew) options_.onClientWanted(target, ip);
    return;
  }
  request.keepSource = client->second.keep;
  request.mark = client->second.mark;
  dial(request, addresses);
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
  Address to = withPort(addresses[request.attempt], request.port);
  Fd fd = open(request, to, request.keepSource && request.source.family() == to.family());
  if (errno != 0) {
    refuse(request, errno, &to);
    return;
  }
  answer(request, std::move(fd));
}

Fd Dialer::open(const Request& request, const Address& to, bool keepSource) {
  Fd fd = makeSocket(to.family(), request.type | SOCK_CLOEXEC | SOCK_NONBLOCK, request.netns.get());
  if (!fd.valid()) return fd;
  if (request.type == SOCK_STREAM) {
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets::keepUrgentInLine(fd.get());
    if (to.isLoopback() || request.netns != nullptr) sockets::setCongestion(fd.get(), options_.congestion);
  }
  if (keepSource && !(sockets::setMark(fd.get(), request.mark) &&
                      sockets::bindTransparently(fd.get(), request.type, request.source, to))) {
    return open(request, to, false);
  }
  if (connect(fd.get(), &to.sa, to.length) == 0) {
    bool needsPath = keepSource && request.mark != 0 && request.type == SOCK_DGRAM;
    auto path = needsPath ? paths_.add(fd.get(), to, request.mark) : ReturnPaths::Result::made;
    if (path == ReturnPaths::Result::failed) return open(request, to, false);
    errno = path == ReturnPaths::Result::made ? 0 : EADDRNOTAVAIL;
    if (errno == 0) return fd;
  }
  // Such a connection exists, through another published port, or existed a moment ago (TIME_WAIT). Keep the client's
  // address; only the source port changes.
  if (keepSource && errno == EADDRNOTAVAIL && request.source.port() != 0) {
    Request again = request;
    again.source.setPort(0);
    return open(again, to, true);
  }
  // There is no route from that address.
  if (keepSource && (errno == EADDRNOTAVAIL || errno == EINVAL || errno == ENETUNREACH || errno == EHOSTUNREACH)) {
    return open(request, to, false);
  }
  return fd;
}

void Dialer::connectFrom(const Request& request, const std::vector<Address>& addresses, size_t index, int lastError) {
  for (; index < addresses.size(); index++) {
    Address to = withPort(addresses[index], request.port);
    Fd fd = open(request, to, request.keepSource && request.source.family() == to.family());
    if (!fd.valid()) {
      // No IPv6 here (EAFNOSUPPORT): the next address may succeed. No descriptors: none will.
      lastError = errno;
      if (lastError == EMFILE || lastError == ENFILE) break;
      continue;
    }
    // To a local address the handshake is complete by now; calling again returns the result.
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
      sendAnswer(request.channel, {wire::Answer::Kind::pending, request.id}, Fd());
      return;
    }
    lastError = errno;
  }
  refuse(request, lastError, addresses.empty() ? nullptr : &addresses.back());
}

void Dialer::answer(const Request& request, Fd fd) {
  sendAnswer(request.channel, {wire::Answer::Kind::connected, request.id}, std::move(fd));
}

void Dialer::refuse(const Request& request, int error, const Address* address) {
  std::string message = "connect";
  if (address != nullptr) message += " " + withPort(*address, request.port).text();
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
