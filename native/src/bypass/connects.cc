#include "bypass/connects.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>
#include <algorithm>

#include "bypass/host_sockets.h"
#include "loop/closer.h"
#include "netlink/netlink.h"

namespace rn {

namespace {

// Descriptors of a program that are searched for epoll sets with each connect that may be replaced.
constexpr int kMaxDescriptors = 512;
constexpr size_t kMaxUndelivered = 1024;

// Addresses that are never outside, whatever the routes are.
bool isSpecial(const Address& to) {
  if (to.isLoopback()) return true;
  Address plain;
  Address::parse(to.ip(), 0, &plain);
  if (plain.family() == AF_INET) {
    uint32_t ip = ntohl(plain.v4.sin_addr.s_addr);
    return (ip >> 24) == 0 || (ip >> 16) == 0xa9fe || (ip >> 28) >= 0xe;
  }
  const in6_addr& ip = plain.v6.sin6_addr;
  return IN6_IS_ADDR_UNSPECIFIED(&ip) || IN6_IS_ADDR_LINKLOCAL(&ip) || IN6_IS_ADDR_SITELOCAL(&ip) ||
         IN6_IS_ADDR_MULTICAST(&ip);
}

bool isIP(const Address& address) { return address.family() == AF_INET || address.family() == AF_INET6; }

// connect(2) that does not block. `blocking`: the program's socket stays in blocking mode.
int begin(int fd, const Address& to, bool blocking) {
  int flags = blocking ? fcntl(fd, F_GETFL) : 0;
  if (blocking) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  int error = connect(fd, &to.sa, to.length) == 0 ? 0 : errno;
  if (blocking) fcntl(fd, F_SETFL, flags);
  return error;
}

// Datagram sockets connect at once.
bool isBlocking(int fd) {
  return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 && bypass::option(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM;
}

bool isUnderWay(int error) { return error == EINPROGRESS || error == EALREADY; }

}  // namespace

int readAddress(const Caller& caller, uint64_t address, int length, Address* out) {
  if (length < 0 || size_t(length) > sizeof(sockaddr_storage)) return EINVAL;
  out->length = socklen_t(std::min(size_t(length), sizeof out->v6));
  if (out->length < sizeof out->sa.sa_family) return EINVAL;
  return caller.read(address, &out->v6, out->length);
}

class HeldConnect : public Handler, public DeferredDelete {
 public:
  HeldConnect(Connects* owner, const Call& call, Fd socket, const Address& to)
      : owner_(owner), call_(call), socket_(std::move(socket)), to_(to) {
    timeval limit{};
    socklen_t length = sizeof limit;
    getsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, &length);
    uint64_t ms = uint64_t(limit.tv_sec) * 1000 + uint64_t(limit.tv_usec) / 1000;
    if (ms > 0) deadline_ = owner_->loop_.now() + ms;
    owner_->pending_.insert(this);
    owner_->loop_.wantTicks(true);
    watched_ = owner_->loop_.watch(socket_.get(), EPOLLOUT, this);
    if (!watched_) end(ENOBUFS);
  }

  void onEvents(uint32_t) override {
    // The same call again returns the result (connect(2), EINPROGRESS).
    int error = begin(socket_.get(), to_, true);
    if (!isUnderWay(error)) end(error);
  }

  // The program changes it while it connects.
  void onStalled() override { end(ECONNABORTED); }

  void tick() {
    if (deadline_ != 0 && owner_->loop_.now() >= deadline_) {
      end(EINPROGRESS);
    } else if (!owner_->calls_.isPending(call_)) {
      forget();
    }
  }

  void forget() {
    if (isDeleted()) return;
    if (watched_) owner_->loop_.unwatch(this);
    closer::close(std::move(socket_));
    owner_->pending_.erase(this);
    owner_->loop_.wantTicks(false);
    owner_->loop_.deleteLater(this);
  }

 private:
  void end(int error) {
    owner_->answer(call_, socket_.get(), error);
    forget();
  }

  Connects* owner_;
  Call call_;
  Fd socket_;
  Address to_;
  uint64_t deadline_ = 0;
  bool watched_ = false;
};

Connects::Connects(Loop& loop, Watchdog& watchdog, Calls& calls, Options options)
    : loop_(loop),
      watchdog_(watchdog),
      calls_(calls),
      policy_(options.policy),
      childRoute_(std::move(options.route)),
      congestion_(std::move(options.congestion)) {
  int raw = -1;
  if (netlink::open(NETLINK_ROUTE, "", &raw) == 0) hostRoute_ = Fd(raw);
  timeval limit{5, 0};
  setsockopt(childRoute_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

Connects::~Connects() {
  auto pending = pending_;
  for (HeldConnect* connect : pending) connect->forget();
}

void Connects::tick() {
  auto pending = pending_;
  for (HeldConnect* connect : pending) connect->tick();
}

void Connects::handle(const Call& call, const Caller& caller, Fd* socket, bool ofHost, bool ofChild) {
  Address to;
  int error = readAddress(caller, call.arguments[1], int(call.arguments[2]), &to);
  if (!calls_.isPending(call)) return;
  auto undelivered = undelivered_.find(bypass::cookieOf(socket->get()));
  if (undelivered != undelivered_.end()) {
    error = undelivered->second;
    undelivered_.erase(undelivered);
    calls_.answer(call, error);
  } else if (error != 0) {
    calls_.answer(call, error);
  } else if (ofHost && !mayReach(to)) {
    calls_.answer(call, EPERM);
  } else if (!ofChild || !connectOutside(call, caller, *socket, to)) {
    error = begin(socket->get(), to, isBlocking(socket->get()));
    settle(call, socket, to, error);
  }
}

bool Connects::mayReach(const Address& to) {
  if (policy_.hostLoopback || to.family() == AF_UNSPEC) return true;
  return isIP(to) && leadsOutside(to, SOCK_STREAM);
}

bool Connects::leadsOutside(const Address& to, int type) {
  if (!policy_.outbound || isSpecial(to)) return false;
  if (type != SOCK_STREAM && (type != SOCK_DGRAM || !policy_.hostLoopback)) return false;
  bypass::Route inside = bypass::routeTo(childRoute_.get(), to);
  if (!inside.found || inside.type != RTN_UNICAST || !inside.gateway) return false;
  bypass::Route outside = bypass::routeTo(hostRoute_.get(), to);
  return outside.found && (outside.type == RTN_UNICAST || (outside.type == RTN_LOCAL && policy_.hostLoopback));
}

bool Connects::connectOutside(const Call& call, const Caller& caller, const Fd& socket, const Address& to) {
  int fd = socket.get();
  int type = bypass::option(fd, SOL_SOCKET, SO_TYPE);
  int protocol = bypass::option(fd, SOL_SOCKET, SO_PROTOCOL);
  if (!policy_.outbound || !isIP(to) || protocol != (type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP)) return false;
  if (!leadsOutside(to, type)) return false;
  // Routing options that were set are about the child's network; and it must not be connecting already.
  Address own;
  if (bypass::ownAddress(fd, &own) != 0 || own.port() != 0 || bypass::hasRoutingOptions(fd)) return false;
  int number = int(call.arguments[0]);
  bool closeOnExec = false;
  if (caller.closesOnExec(number, &closeOnExec) != 0 || caller.polls(bypass::inodeOf(fd), kMaxDescriptors))
    return false;
  // The program holds it, too, once it is in place.
  TakenFd taken(watchdog_, bypass::twinOf(fd, congestion_));
  Fd& twin = taken.fd;
  if (!twin.valid()) return false;
  int error = begin(twin.get(), to, isBlocking(twin.get()));
  // The child's network may have a better answer.
  if (error != 0 && !isUnderWay(error)) return false;
  if (!calls_.replace(call, number, twin, closeOnExec)) return !calls_.isPending(call);
  settle(call, &twin, to, error);
  return true;
}

void Connects::settle(const Call& call, Fd* socket, const Address& to, int error) {
  if (isUnderWay(error) && isBlocking(socket->get())) {
    // It deletes itself.
    new HeldConnect(this, call, std::move(*socket), to);
  } else {
    answer(call, socket->get(), error);
  }
}

void Connects::answer(const Call& call, int socket, int error) {
  if (calls_.answer(call, error) || (error != 0 && !isUnderWay(error))) return;
  // Programs that are gone never collect theirs.
  if (undelivered_.size() >= kMaxUndelivered) undelivered_.clear();
  undelivered_[bypass::cookieOf(socket)] = error;
}

}  // namespace rn
