// The ports of the port driver bypass: gives programs sockets of the host in place of their own, and relays again when those
// are closed.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <future>
#include <utility>

#include "bypass/bypass.h"
#include "bypass/host_sockets.h"
#include "bypass/published.h"

namespace rn {

namespace {

void set(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

}  // namespace

// The first port with that target that is not bypassed yet; a socket that shares its port (SO_REUSEPORT) may use one that
// is.
Bypass::Published* Bypass::publishedFor(int type, int socket, const Address& own) {
  Published* taken = nullptr;
  bool v6Only = bypass::isIPv6Only(socket);
  for (auto& [id, port] : ports_) {
    if (port->type != type || !bypass::isReached(own, v6Only, port->addresses)) continue;
    if (!port->isBypassed()) return port.get();
    if (taken == nullptr) taken = port.get();
  }
  return bypass::option(socket, SOL_SOCKET, SO_REUSEPORT) != 0 ? taken : nullptr;
}

void Bypass::replaceSocket(const Call& call, const Caller& caller, const Fd& original, Published* port, int backlog) {
  port->reason = tryReplace(call, caller, original, port, backlog);
  if (!port->isBypassed()) resumeRelay(port);
  publishState(port);
}

std::string Bypass::tryReplace(const Call& call, const Caller& caller, const Fd& original, Published* port,
                               int backlog) {
  int number = int(call.arguments[0]);
  bool v6Only = bypass::isIPv6Only(original.get());
  auto family = sa_family_t(bypass::option(original.get(), SOL_SOCKET, SO_DOMAIN));
  bypass::Place place = bypass::placeFor(port->address, port->dual, family, v6Only);
  if (!place.fits) return "the server listens in the other address family";
  if (bypass::hasRoutingOptions(original.get())) return "the server's socket is tied to a device or a mark";
  bool closeOnExec = false;
  int error = caller.closesOnExec(number, &closeOnExec);
  if (error != 0) return describeError("the server's descriptors cannot be seen", error);
  if (caller.polls(bypass::inodeOf(original.get()), INT_MAX)) return "the server's socket was in an epoll set already";

  Fd twin = bypass::twinOf(original.get(), congestion_);
  if (!twin.valid()) return describeError("socket", errno);
  if (family == AF_INET6) set(twin.get(), IPPROTO_IPV6, IPV6_V6ONLY, place.v6Only);
  // As large as those of relays, unless the program has set a size.
  if (port->type == SOCK_DGRAM) bypass::enlargeBuffers(twin.get(), original.get());
  if (!port->isBypassed() && (error = engine_.suspendPort(port->id)) != 0)
    return describeError("cannot suspend the listener", error);
  // Both sockets allow reuse, and the other one does not listen: so they may have the same address (socket(7)). The
  // engine's allows it only for this moment, since any other process could use it as well.
  int reuse = bypass::option(twin.get(), SOL_SOCKET, SO_REUSEADDR);
  set(port->listener.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  set(twin.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  error = ::bind(twin.get(), &place.address.sa, place.address.length) == 0 ? 0 : errno;
  if (error == 0 && port->type == SOCK_STREAM && ::listen(twin.get(), backlog) != 0) error = errno;
  set(port->listener.get(), SOL_SOCKET, SO_REUSEADDR, 0);
  if (port->type == SOCK_DGRAM) set(twin.get(), SOL_SOCKET, SO_REUSEADDR, reuse);
  if (error != 0) return describeError("cannot bind the host's address", error);
  if (!calls_->replace(call, number, twin, closeOnExec)) return "the server was interrupted";

  bool first = !port->isBypassed();
  port->hostSockets.cookies.insert(bypass::cookieOf(twin.get()));
  port->hostSockets.inodes.insert(bypass::inodeOf(twin.get()));
  if (first) {
    loop_.wantTicks(true);
    addInternalPorts(port, place.address, Fd(fcntl(original.get(), F_DUPFD_CLOEXEC, 0)), place.rest);
  }
  return "";
}

void Bypass::addInternalPorts(Published* port, const Address& at, Fd original, sa_family_t rest) {
  PortOptions options;
  options.direct = bypass::reachable(at);
  options.owner = port->id;
  options.target.type = port->type;
  options.target.port = at.port();
  if (original.valid()) {
    PortOptions inside;
    inside.id = port->inside = nextInternalPort_++;
    inside.direct = options.direct;
    inside.owner = options.owner;
    inside.target = options.target;
    fcntl(original.get(), F_SETFL, fcntl(original.get(), F_GETFL) | O_NONBLOCK);
    if (port->type == SOCK_DGRAM) {
      auto family = sa_family_t(bypass::option(original.get(), SOL_SOCKET, SO_DOMAIN));
      sockets::prepareListener(original.get(), family, port->type,
                               family == AF_INET6 && !bypass::isIPv6Only(original.get()));
    }
    inside.listeners.push_back(std::move(original));
    engine_.addPort(std::move(inside));
  }
  if (rest == 0) return;
  Address any;
  Address::parse(rest == AF_INET6 ? "::" : "0.0.0.0", at.port(), &any);
  set(port->listener.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockets::ListenResult listening = sockets::listenOn(any, port->type, false);
  set(port->listener.get(), SOL_SOCKET, SO_REUSEADDR, 0);
  if (!listening.fd.valid()) return;
  options.id = port->rest = nextInternalPort_++;
  options.listeners.push_back(std::move(listening.fd));
  engine_.addPort(std::move(options));
}

void Bypass::pollSockets() {
  auto keep = [](auto& have, const auto& there) {
    for (auto it = have.begin(); it != have.end();) it = there.count(*it) != 0 ? std::next(it) : have.erase(it);
  };
  for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
    bypass::Found now;
    bool looked = false;
    for (auto& [id, port] : ports_) {
      if (port->type != type || !port->isBypassed()) continue;
      if (!looked && !bypass::findSockets(type, 0, true, &now)) break;
      looked = true;
      keep(port->hostSockets.cookies, now.cookies);
      keep(port->hostSockets.inodes, now.inodes);
      if (port->isBypassed()) continue;
      loop_.wantTicks(false);
      resumeRelay(port.get());
      publishState(port.get());
    }
  }
}

// Where no program has a socket for the port (any more).
void Bypass::resumeRelay(Published* port) {
  for (uint32_t* own : {&port->inside, &port->rest}) {
    if (*own != 0) engine_.removePorts(*own, 1);
    *own = 0;
  }
  // The program may want to bind the address in the child again at once.
  engine_.settle();
  if (port->type == SOCK_STREAM) set(port->listener.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  int error = engine_.resumePort(port->id);
  if ((error != 0) != port->retrying) {
    port->retrying = error != 0;
    loop_.wantTicks(port->retrying);
    Event event{Event::Kind::portState};
    event.id = port->id;
    if (error != 0) event.text = describeError("cannot listen again", error) + "; retrying";
    events_.emit(std::move(event));
  }
}

void Bypass::publishState(Published* port) {
  std::lock_guard<std::mutex> lock(mutex_);
  states_[port->id] = {port->isBypassed(), port->isBypassed() ? "" : port->reason};
}

void Bypass::addPort(uint32_t id, int type, std::vector<Address> addresses) {
  loop_.post([this, id, type, addresses = std::move(addresses)] {
    auto port = std::make_unique<Published>();
    port->id = id;
    port->type = type;
    port->addresses = addresses;
    port->listener = engine_.listenerOf(id);
    // The port has been removed already.
    if (!port->listener.valid() || bypass::ownAddress(port->listener.get(), &port->address) != 0) return;
    port->dual = port->address.family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&port->address.v6.sin6_addr) &&
                 !bypass::isIPv6Only(port->listener.get());
    ports_[id] = std::move(port);
  });
}

void Bypass::removePort(uint32_t id) {
  loop_.post([this, id] {
    auto it = ports_.find(id);
    if (it != ports_.end()) {
      closePort(it->second.get());
      ports_.erase(it);
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      states_.erase(id);
    }
    Event event{Event::Kind::bypassEnded};
    event.id = id;
    events_.emit(std::move(event));
  });
}

Fd Bypass::activate(uint32_t id) {
  auto handed = std::make_shared<std::promise<Fd>>();
  loop_.post([this, id, handed] {
    auto it = ports_.find(id);
    Fd fd;
    if (it != ports_.end() && !it->second->isBypassed()) {
      fd = engine_.transferPort(id);
      if (fd.valid()) {
        Published* port = it->second.get();
        port->hostSockets.cookies.insert(bypass::cookieOf(fd.get()));
        port->hostSockets.inodes.insert(bypass::inodeOf(fd.get()));
        loop_.wantTicks(true);
        publishState(port);
      }
    }
    handed->set_value(std::move(fd));
  });
  return handed->get_future().get();
}

// Programs keep their descriptors; but the sockets are shut down.
void Bypass::closePort(Published* port) {
  if (port->retrying) loop_.wantTicks(false);
  if (!port->isBypassed()) return;
  loop_.wantTicks(false);
  bypass::Found sockets = port->hostSockets;
  bypass::findSockets(port->type, port->address.port(), false, &sockets);
  processes::eachSocketBelow(root_, sockets.inodes, [&](Fd fd) {
    if (sockets.cookies.count(bypass::cookieOf(fd.get())) == 0) return;
    // Where it keeps the address, other sockets may bind it too.
    set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (port->type == SOCK_STREAM) {
      shutdown(fd.get(), SHUT_RDWR);
    } else {
      sockets::connectToSelf(fd.get());
    }
  });
  for (uint32_t own : {port->inside, port->rest}) {
    if (own != 0) engine_.removePorts(own, 1);
  }
  engine_.settle();
}

}  // namespace rn
