#include "inbound/inbound_dials.h"

#include <errno.h>
#include <linux/netlink.h>
#include <algorithm>
#include <utility>

namespace rn {

namespace {

// Link-local addresses need a device, and are another host's in each network; those of 0.0.0.0/8 are nobody's.
bool isOrdinary(const Address& client) {
  if (client.family() == AF_INET6) return !IN6_IS_ADDR_LINKLOCAL(&client.v6.sin6_addr);
  uint32_t ip = ntohl(client.v4.sin_addr.s_addr);
  return ip >> 24 != 0 && ip >> 16 != 0xa9fe;
}

bool isSameIp(const Address& a, const Address& b) { return a.family() == b.family() && a.ipBytes() == b.ipBytes(); }

}  // namespace

void InboundDials::use(Watchdog* watchdog, FdBudget* budget, size_t threads) {
  watchdog_ = watchdog;
  tcp_.use(budget, threads);
  udp_.use(budget, threads);
}

void InboundDials::begin(Network network) {
  network_ = std::move(network);
  // In the child for sockets and routes, and in the gateway namespace for sockets.
  const socket_order orders[] = {{0, IN_CHILD, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, 1},
                                 {0, IN_CHILD, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, 1},
                                 {0, IN_GATEWAY, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, 1}};
  struct Arrived {
    std::vector<Fd> fds{3};
    size_t missing = 3;
  };
  auto arrived = std::make_shared<Arrived>();
  for (size_t i = 0; i < 3; i++) {
    network_.source->order(orders[i], loop_, [this, arrived, i](std::vector<Fd> fds) {
      if (fds.size() == 1) arrived->fds[i] = std::move(fds.front());
      if (--arrived->missing == 0) onReady(std::move(arrived->fds));
    });
  }
}

void InboundDials::onReady(std::vector<Fd> netlink) {
  bool all = netlink[0].valid() && netlink[1].valid() && netlink[2].valid();
  if (ended_ || !all || !child_.open(std::move(netlink[0]), std::move(netlink[1]), network_.device)) return;
  diag_ = std::move(netlink[2]);
  ready_ = true;
  tcp_.restart(network_.netns);
  udp_.restart(network_.netns);
}

void InboundDials::end() {
  ended_ = true;
  ready_ = false;
  tcp_.end();
  udp_.end();
  network_.source = nullptr;
  for (auto& [id, waiting] : std::exchange(waiting_, {})) owner_.onMade(id, Fd());
}

InboundDials::Result InboundDials::dial(uint32_t id, const DialTarget& target, const Address& client, Fd* fd) {
  if (!ready_ || target.inbound == nullptr || client.isLoopback() || isAvoided(target)) return Result::no;
  Address source = client.unmapped();
  if (!isWay(target, source)) return Result::no;
  SocketPool& pool = poolOf(target.type);
  if (pool.want(source.family())) return open(id, target, source, fd);
  if (!pool.canBeFilled()) return Result::no;
  waiting_[id] = {&target, source};
  return Result::pending;
}

bool InboundDials::isWay(const DialTarget& target, const Address& source) const {
  const Address& own = childOf(source.family());
  if (own.length == 0 || !isOrdinary(source)) return false;
  for (const Address& address : *target.inbound) {
    if (address.family() != source.family()) continue;
    Address local = address;
    local.setPort(target.port);
    ChildNetwork::Listener listener = child_.listenerFor(target.type, local, source);
    bool arrives = listener == ChildNetwork::Listener::everyAddress;
    if (isSameIp(address, own)) arrives = listener != ChildNetwork::Listener::none;
    if (!arrives) return false;
    if (isSameIp(address, own)) return child_.leadsOut(own, source);
    if (!address.isLoopback()) continue;
    // The device's address has to lead to the same server: another one may listen on that address alone.
    local = own;
    local.setPort(target.port);
    return child_.listenerFor(target.type, local, source) == ChildNetwork::Listener::everyAddress &&
           child_.leadsOut(own, source);
  }
  return false;
}

// With a socket of the pool.
InboundDials::Result InboundDials::open(uint32_t id, const DialTarget& target, const Address& source, Fd* fd) {
  Outgoing out{target.type, target.port, source, true, 0, true};
  Address to = childOf(source.family());
  to.setPort(target.port);
  if (target.type == SOCK_DGRAM) {
    int error = 0;
    *fd = openTo(*this, out, to, &error);
    if (fd->valid()) return Result::connected;
    avoid(target);
    return Result::no;
  }
  return start(id, target, TcpConnect(out, std::make_shared<const std::vector<Address>>(1, to), 0), fd);
}

void InboundDials::cancel(uint32_t id) {
  waiting_.erase(id);
  cancelPending(id);
}

void InboundDials::flush() {
  if (!ready_) return;
  order(tcp_, SOCK_STREAM);
  order(udp_, SOCK_DGRAM);
}

void InboundDials::order(SocketPool& pool, int type) {
  SocketPool::Request request;
  if (!pool.nextRequest(&request)) return;
  int protocol = type == SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
  socket_order order{0, IN_GATEWAY, request.family, type, protocol, uint32_t(request.count)};
  network_.source->order(order, loop_, [this, &pool, type, request](std::vector<Fd> fds) {
    pool.onAnswer(request.id, std::move(fds));
    serveWaiting(type, request.family);
  });
}

void InboundDials::serveWaiting(int type, int family) {
  SocketPool& pool = poolOf(type);
  std::vector<uint32_t> ids;
  for (const auto& [id, waiting] : waiting_) {
    if (waiting.target->type == type && waiting.source.family() == family) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  for (uint32_t id : ids) {
    auto it = waiting_.find(id);
    // A connection that was served before may have ended it.
    if (it == waiting_.end()) continue;
    bool has = pool.want(family);
    if (!has && pool.canBeFilled()) continue;
    Waiting waiting = it->second;
    waiting_.erase(it);
    Fd fd;
    if (has && open(id, *waiting.target, waiting.source, &fd) == Result::pending) continue;
    owner_.onMade(id, std::move(fd));
  }
}

void InboundDials::second() {
  tcp_.second();
  udp_.second();
  std::vector<uint32_t> late;
  for (auto& [id, waiting] : waiting_) {
    if (++waiting.seconds >= kMostSeconds) late.push_back(id);
  }
  for (auto& [id, pending] : pending_) {
    if (++pending->seconds < kMostSeconds) continue;
    avoid(pending->target(), kUnansweredMs);
    late.push_back(id);
  }
  for (uint32_t id : late) giveUp(id);
}

// The agent is to make it.
void InboundDials::giveUp(uint32_t id) {
  cancel(id);
  owner_.onMade(id, Fd());
}

}  // namespace rn
