#include "outbound/udp/host_sources.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <utility>

#include "system/error_queue.h"

namespace rn {

namespace {

void on(int fd, int level, int option) {
  int value = 1;
  setsockopt(fd, level, option, &value, sizeof value);
}

Fd makeSocket(sa_family_t family) {
  Fd fd(socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fd;
  sockets::prepareDatagrams(fd.get());
  // Errors of the network that a program may ask for, apart from those that every program sees (ip(7)).
  errorQueue::enable(fd.get(), family);
  return fd;
}

// Returns 0 or an errno.
int connectTo(const Fd& fd, const Address& to) { return ::connect(fd.get(), &to.sa, to.length) == 0 ? 0 : errno; }

bool bindToPort(const Fd& fd, sa_family_t family, uint16_t port) {
  Address any;
  Address::parse(family == AF_INET ? "0.0.0.0" : "::", port, &any);
  on(fd.get(), SOL_SOCKET, SO_REUSEPORT);
  return bind(fd.get(), &any.sa, any.length) == 0;
}

uint16_t localPort(const Fd& fd) {
  Address own;
  own.length = sizeof own.v6;
  return getsockname(fd.get(), &own.sa, &own.length) == 0 ? own.port() : 0;
}

}  // namespace

HostSources::Socket HostSources::connect(const Address& client, const Address& destination) {
  Socket made;
  sa_family_t family = destination.family();
  made.fd = makeSocket(family);
  if (made.fd.valid() && published_.bind(made.fd.get(), client.port(), destination)) {
    made.isPublished = true;
    if (connectTo(made.fd, destination) == 0) return made;
    // That address cannot reach it: what is published at one address of the host does not lead everywhere.
    made.isPublished = false;
    made.fd = makeSocket(family);
  }
  if (!made.fd.valid()) {
    made.error = errno;
    return made;
  }
  auto it = sources_.find(keyOf(client));
  bool shares = it != sources_.end() && it->second.ofPort < kMostOfPort && bindToPort(made.fd, family, it->second.port);
  made.error = connectTo(made.fd, destination);
  if (made.error != 0) {
    made.fd.reset();
    return made;
  }
  Source& source = sources_[keyOf(client)];
  if (!shares) {
    on(made.fd.get(), SOL_SOCKET, SO_REUSEPORT);
    source.port = localPort(made.fd);
    source.ofPort = 0;
  }
  made.port = source.port;
  source.flows++;
  source.ofPort++;
  return made;
}

void HostSources::release(const Address& client, const Socket& socket) {
  if (socket.isPublished) return;
  auto it = sources_.find(keyOf(client));
  if (it == sources_.end()) return;
  if (it->second.port == socket.port) it->second.ofPort--;
  if (--it->second.flows == 0) sources_.erase(it);
}

}  // namespace rn
