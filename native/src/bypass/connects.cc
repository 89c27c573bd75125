#include "bypass_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/time.h>
#include <algorithm>

#include "bypass_sockets.h"
#include "netlink.h"

namespace {

// Descriptors of a program that are looked through for epoll sets, with each connect that may be replaced.
constexpr int kMaxDescriptors = 512;
constexpr size_t kMaxUntold = 1024;

// Where no host outside is, whatever the routes say.
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

// connect(2) that does not block. `blocking`: the program's socket is to stay so.
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

class HeldConnect : public Handler, public Buriable {
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
    // The same call again says how it went (connect(2), EINPROGRESS).
    int error = begin(socket_.get(), to_, true);
    if (!isUnderWay(error)) end(error);
  }

  void tick() {
    if (deadline_ != 0 && owner_->loop_.now() >= deadline_) {
      end(EINPROGRESS);
    } else if (!owner_->calls_.waits(call_)) {
      forget();
    }
  }

  void forget() {
    if (buried()) return;
    if (watched_) owner_->loop_.unwatch(socket_.get());
    socket_.reset();
    owner_->pending_.erase(this);
    owner_->loop_.wantTicks(false);
    owner_->loop_.bury(this);
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

Connects::Connects(Loop& loop, Calls& calls, ConnectPolicy policy, Fd route, std::string congestion)
    : loop_(loop), calls_(calls), policy_(policy), childRoute_(std::move(route)), congestion_(std::move(congestion)) {
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

void Connects::serve(const Call& call, const Caller& caller, Fd socket, bool ofHost, bool ofChild) {
  Address to;
  int error = readAddress(caller, call.arguments[1], int(call.arguments[2]), &to);
  if (!calls_.waits(call)) return;
  auto untold = untold_.find(bypass::cookieOf(socket.get()));
  if (untold != untold_.end()) {
    error = untold->second;
    untold_.erase(untold);
    calls_.answer(call, error);
  } else if (error != 0) {
    calls_.answer(call, error);
  } else if (ofHost && !mayReach(to)) {
    calls_.answer(call, EPERM);
  } else if (!ofChild || !connectOutside(call, caller, socket, to)) {
    error = begin(socket.get(), to, isBlocking(socket.get()));
    settle(call, std::move(socket), to, error);
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
  // What it was told about its way is about the child's network; and it must not be under way already.
  Address own;
  if (bypass::ownAddress(fd, &own) != 0 || own.port() != 0 || bypass::isTiedToWay(fd)) return false;
  int number = int(call.arguments[0]);
  bool closeOnExec = false;
  if (caller.closesOnExec(number, &closeOnExec) != 0 || caller.polls(bypass::inodeOf(fd), kMaxDescriptors)) return false;
  Fd twin = bypass::twinOf(fd, congestion_);
  if (!twin.valid()) return false;
  int error = begin(twin.get(), to, isBlocking(twin.get()));
  // The child's network may have a better answer.
  if (error != 0 && !isUnderWay(error)) return false;
  if (!calls_.replace(call, number, twin, closeOnExec)) return !calls_.waits(call);
  settle(call, std::move(twin), to, error);
  return true;
}

void Connects::settle(const Call& call, Fd socket, const Address& to, int error) {
  if (isUnderWay(error) && isBlocking(socket.get())) {
    // It ends by itself.
    new HeldConnect(this, call, std::move(socket), to);
  } else {
    answer(call, socket.get(), error);
  }
}

void Connects::answer(const Call& call, int socket, int error) {
  if (calls_.answer(call, error) || (error != 0 && !isUnderWay(error))) return;
  // A program that is gone asks no more.
  if (untold_.size() >= kMaxUntold) untold_.clear();
  untold_[bypass::cookieOf(socket)] = error;
}
