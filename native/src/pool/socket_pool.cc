#include "pool/socket_pool.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <algorithm>

#include "loop/closer.h"
#include "system/sockets.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

namespace rn {

uint64_t netnsCookieOf(int fd) {
  uint64_t cookie = 0;
  socklen_t length = sizeof cookie;
  return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) == 0 ? cookie : 0;
}

void SocketPool::use(FdBudget* budget, size_t threads) {
  budget_ = budget;
  most_ = std::min(uint64_t(kMost), budget->mostSpare()) / threads;
  budget_->addSpare(this);
  Fd own(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ownNamespace_ = own.valid() ? netnsCookieOf(own.get()) : 0;
}

void SocketPool::restart(uint64_t netns) {
  end();
  awaited_ = 0;
  namespace_ = netns;
  resting_ = false;
  ended_ = ownNamespace_ == 0;
}

void SocketPool::end() {
  for (Family& family : families_) {
    shrink(&family, 0);
    family = {};
  }
  ended_ = true;
}

bool SocketPool::want(int family) {
  Family& sockets = of(family);
  sockets.taken++;
  if (sockets.ready.size() <= sockets.capacity / 2) sockets.low = true;
  return !sockets.ready.empty();
}

Fd SocketPool::take(int family) {
  Family& sockets = of(family);
  if (sockets.ready.empty()) return Fd();
  Fd fd = std::move(sockets.ready.back());
  sockets.ready.pop_back();
  budget_->release(this, 1);
  return fd;
}

bool SocketPool::nextRequest(Request* request) {
  if (ended_ || awaited_ != 0 || resting_) return false;
  for (Family& sockets : families_) {
    if (!sockets.low) continue;
    sockets.low = false;
    uint64_t now = loop_.now();
    bool busy = sockets.capacity > 0 && now - sockets.grownAt < kBusyMs;
    sockets.capacity = std::min(most_, sockets.capacity == 0 ? kFirst : busy ? 2 * sockets.capacity : sockets.capacity);
    sockets.grownAt = now;
    if (sockets.capacity <= sockets.ready.size()) continue;
    size_t count = std::min(sockets.capacity - sockets.ready.size(), kBatch);
    if (!budget_->hasSpare(count)) continue;
    awaited_ = nextId_++;
    awaitedFamily_ = &sockets == &of(AF_INET) ? AF_INET : AF_INET6;
    awaitedCount_ = count;
    *request = {awaited_, awaitedFamily_, count};
    return true;
  }
  return false;
}

bool SocketPool::onAnswer(uint32_t id, std::vector<Fd> fds) {
  bool requested = awaited_ != 0 && id == awaited_ && fds.size() <= awaitedCount_;
  awaited_ = 0;
  resting_ = fds.size() < awaitedCount_;
  Family& sockets = of(awaitedFamily_);
  // It may have been emptied meanwhile.
  bool wanted = requested && !ended_ && sockets.capacity > 0 && budget_->hasSpare(fds.size());
  for (Fd& fd : fds) {
    if (!wanted) break;
    if (const char* why = objection(fd.get(), awaitedFamily_)) {
      if (*why != '\0')
        log_(std::string(maker_) + " sent " + why + " for connections to come; the agent makes each one now");
      end();
      break;
    }
    budget_->acquire(this, 1);
    sockets.ready.push_back(std::move(fd));
  }
  closer::close(std::move(fds));
  return requested;
}

const char* SocketPool::protocolObjection(int fd) const {
  bool tcp = type_ == SOCK_STREAM;
  const char* other = tcp ? "no TCP socket" : "no UDP socket";
  int type = 0, protocol = 0;
  socklen_t length = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != type_) return other;
  // MPTCP and SMC are similar. Raw sockets may have the protocol, but not the type, nor the option below.
  length = sizeof protocol;
  if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) != 0) return other;
  if (protocol != (tcp ? IPPROTO_TCP : IPPROTO_UDP)) return other;
  if (!tcp) return nullptr;
  // The first byte is the state (tcp(7)).
  unsigned char state = 0;
  length = sizeof state;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &length) != 0 || length != sizeof state) return other;
  return state == TCP_CLOSE ? nullptr : "a socket that is in use";
}

const char* SocketPool::objection(int fd, int family) {
  if (const char* why = protocolObjection(fd)) return why;
  Address own;
  own.length = sizeof own.v6;
  if (getsockname(fd, &own.sa, &own.length) != 0 || own.family() != family) return "a socket of another family";
  if (own.port() != 0) return "a socket that is bound";
  uint64_t cookie = netnsCookieOf(fd);
  if (cookie == 0 || cookie == ownNamespace_) return namespace_ == 0 ? "" : "a socket of the host";
  if (namespace_ == 0) namespace_ = cookie;
  return cookie == namespace_ ? nullptr : "a socket of another network namespace";
}

void SocketPool::second() {
  resting_ = false;
  if (++seconds_ % kPeriodSeconds != 0) return;
  for (Family& sockets : families_) {
    if (sockets.taken == 0) {
      shrink(&sockets, 0);
    } else if (sockets.taken < sockets.capacity / 4) {
      shrink(&sockets, std::max(kFirst, sockets.capacity / 2));
    }
    sockets.taken = 0;
  }
}

void SocketPool::shrink(Family* family, size_t capacity) {
  family->capacity = std::min(family->capacity, capacity);
  while (family->ready.size() > family->capacity) {
    closer::close(std::move(family->ready.back()));
    family->ready.pop_back();
    budget_->release(this, 1);
  }
}

bool SocketPool::evictOne() {
  for (Family& family : families_) {
    if (family.ready.empty()) continue;
    closer::close(std::move(family.ready.back()));
    family.ready.pop_back();
    budget_->release(this, 1);
    return true;
  }
  return false;
}

}  // namespace rn
