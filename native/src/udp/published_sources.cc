#include "udp/published_sources.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <algorithm>
#include <iterator>
#include <utility>

namespace rn {

namespace {

void setReusePort(int fd, int value) { setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value); }

// While both sockets are bound alike, and the other one is not connected yet, the listener receives all (socket(7),
// SO_ATTACH_REUSEPORT_CBPF). The kernel keeps that for the listener, so it holds from the second time on.
void preferListener(int listener) {
  sock_filter first[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  sock_fprog program{1, first};
  setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

bool isWildcard(const Address& address) {
  if (address.family() == AF_INET) return address.v4.sin_addr.s_addr == INADDR_ANY;
  return IN6_IS_ADDR_UNSPECIFIED(&address.v6.sin6_addr);
}

// Whether a wildcard listener of IPv6 has IPv4 as well.
bool isDual(int fd) {
  int only = 1;
  socklen_t length = sizeof only;
  return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) == 0 && only == 0;
}

// The listener's address, as a source of datagrams to `destination`; family 0 where it is none.
Address sourceFor(int listener, const Address& destination) {
  Address own;
  own.length = sizeof own.v6;
  if (getsockname(listener, &own.sa, &own.length) != 0) return {};
  own = own.unmapped();
  if (isWildcard(own) && own.family() != destination.family() && own.family() == AF_INET6 && isDual(listener)) {
    Address any;
    Address::parse("0.0.0.0", own.port(), &any);
    return any;
  }
  if (own.family() != destination.family() || (own.isLoopback() && !destination.isLoopback())) return {};
  return own;
}

}  // namespace

void PublishedSources::add(uint16_t inside, const std::vector<int>& listeners) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (int listener : listeners) listeners_.emplace(inside, listener);
}

void PublishedSources::remove(uint16_t inside, const std::vector<int>& listeners, Context& home) {
  std::function<void(uint16_t, Context&)> removed;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    auto range = listeners_.equal_range(inside);
    for (auto it = range.first; it != range.second;) {
      bool theirs = std::find(listeners.begin(), listeners.end(), it->second) != listeners.end();
      it = theirs ? listeners_.erase(it) : std::next(it);
    }
    removed = removed_;
  }
  if (removed) removed(inside, home);
}

bool PublishedSources::bind(int fd, uint16_t inside, const Address& destination) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto range = listeners_.equal_range(inside);
  for (auto it = range.first; it != range.second; ++it) {
    Address source = sourceFor(it->second, destination);
    if (source.family() == 0) continue;
    setReusePort(fd, 1);
    setReusePort(it->second, 1);
    bool bound = ::bind(fd, &source.sa, source.length) == 0;
    if (bound) preferListener(it->second);
    setReusePort(it->second, 0);
    if (bound) return true;
  }
  return false;
}

void PublishedSources::onRemoved(std::function<void(uint16_t inside, Context& home)> removed) {
  std::lock_guard<std::mutex> lock(mutex_);
  removed_ = std::move(removed);
}

}  // namespace rn
