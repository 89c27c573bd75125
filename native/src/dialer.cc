#include "dialer.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

namespace {
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
  Request request{channel, in.id, in.proto == "udp" ? SOCK_DGRAM : SOCK_STREAM, in.attempt};
  std::string target(in.target);
  auto [it, isNew] = plans_.try_emplace(target);
  if (it->second.known) {
    serve(request, it->second);
    return;
  }
  it->second.waiting.push_back(request);
  if (isNew) onPlanWanted_(target);
}

void Dialer::setPlan(const std::string& target, std::vector<Address> addresses) {
  Plan& plan = plans_[target];
  plan.known = true;
  plan.addresses = std::move(addresses);
  std::vector<Request> waiting;
  waiting.swap(plan.waiting);
  for (const Request& request : waiting) serve(request, plan);
}

void Dialer::forgetPlans() {
  for (auto it = plans_.begin(); it != plans_.end();) it = it->second.known ? plans_.erase(it) : std::next(it);
}

void Dialer::serve(const Request& request, const Plan& plan) {
  if (request.type == SOCK_STREAM) {
    connectFrom(request, plan.addresses, request.attempt, ECONNREFUSED);
    return;
  }
  if (request.attempt >= plan.addresses.size()) {
    refuse(request, ECONNREFUSED, plan.addresses.empty() ? nullptr : &plan.addresses.back());
    return;
  }
  const Address& to = plan.addresses[request.attempt];
  Fd fd(socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || connect(fd.get(), &to.sa, to.length) != 0) {
    refuse(request, errno, &to);
    return;
  }
  answer(request, std::move(fd));
}

void Dialer::connectFrom(const Request& request, const std::vector<Address>& addresses, size_t index, int lastError) {
  for (; index < addresses.size(); index++) {
    const Address& to = addresses[index];
    Fd fd(socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) {
      // No IPv6 here (EAFNOSUPPORT): the next address may do. No descriptors: nothing will.
      lastError = errno;
      if (lastError == EMFILE || lastError == ENFILE) break;
      continue;
    }
    int on = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (to.isLoopback()) sockets::setCongestion(fd.get(), congestion_);
    int rc = connect(fd.get(), &to.sa, to.length);
    // To a local address the handshake is over by now; asking again tells.
    if (rc != 0 && errno == EINPROGRESS) rc = connect(fd.get(), &to.sa, to.length);
    if (rc == 0 || errno == EISCONN) {
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
      reply_(request.channel, wire::encodePending(request.id), {});
      return;
    }
    lastError = errno;
  }
  refuse(request, lastError, addresses.empty() ? nullptr : &addresses.back());
}

void Dialer::answer(const Request& request, Fd fd) {
  wire::ConnectResult result;
  result.id = request.id;
  std::vector<Fd> fds;
  fds.push_back(std::move(fd));
  reply_(request.channel, wire::encodeResult(result), std::move(fds));
}

void Dialer::refuse(const Request& request, int error, const Address* address) {
  wire::ConnectResult result;
  result.id = request.id;
  result.error = error;
  std::string message = "connect";
  if (address != nullptr) message += " " + address->text();
  message += std::string(": ") + strerror(error);
  result.message = message;
  reply_(request.channel, wire::encodeResult(result), {});
}
