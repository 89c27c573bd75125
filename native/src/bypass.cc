#include "bypass.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <algorithm>
#include <future>
#include <utility>

#include "bypass_filter.h"
#include "bypass_sockets.h"

namespace {

// Ports of the engine that JavaScript knows nothing of have ids that its own never reach.
constexpr uint32_t kFirstOwnPort = 0x80000000;
// Ticks of 100 ms between two looks at what is left of sockets that were given away.
constexpr int kTicksPerLook = 3;

void set(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

std::string failed(const char* what, int error) { return std::string(what) + ": " + strerror(error); }

}  // namespace

struct Bypass::Published {
  uint32_t id;
  int type;
  // Where it leads in the child.
  std::vector<Address> addresses;
  // The engine's listener.
  Fd listener;
  Address address;
  bool dual = false;
  // Programs' sockets of the host for it; none: it is relayed.
  bypass::Found given;
  // Ports of the engine that lead to these: the program's socket in the child, and the family that they leave.
  uint32_t inside = 0;
  uint32_t rest = 0;
  // The engine could not listen again.
  bool waits = false;
  std::string reason;

  bool isGiven() const { return !given.cookies.empty(); }
};

Bypass::Bypass(EventSink& events, Engine& engine, Fd hello, pid_t root, ConnectPolicy policy)
    : events_(events), engine_(engine), root_(root), policy_(policy), hello_(std::move(hello)), nextOwnPort_(kFirstOwnPort) {
  loop_.onTick([this] { tick(); });
  loop_.start();
  loop_.post([this] { loop_.watch(hello_.get(), EPOLLIN, this); });
}

Bypass::~Bypass() {
  // Programs that still wait get an error when the descriptor of the notifications goes.
  loop_.stop();
  connects_.reset();
}

void Bypass::log(const std::string& text) {
  Event event{Event::Kind::log};
  event.text = text;
  events_.emit(std::move(event));
}

void Bypass::onEvents(uint32_t) {
  bypass_hello hello{};
  iovec iov{&hello, sizeof hello};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * BYPASS_HELLO_FDS)];
  msghdr message{};
  message.msg_iov = &iov;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t n = recvmsg(hello_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  loop_.unwatch(hello_.get());
  hello_.reset();
  if (n != ssize_t(sizeof hello)) return;
  int fds[BYPASS_HELLO_FDS] = {-1, -1, -1};
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  if (head != nullptr && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof fds)) {
    memcpy(fds, CMSG_DATA(head), sizeof fds);
  } else if (hello.error == 0) {
    hello = {EMFILE, 0, "recvmsg"};
  }
  Fd notifications(fds[0]), tcp(fds[1]), route(fds[2]);
  if (hello.error != 0) {
    hello.what[sizeof hello.what - 1] = '\0';
    log("ports are relayed, not bypassed: the command cannot be filtered: " + failed(hello.what, hello.error));
    return;
  }
  Fd own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  hostNetns_ = bypass::netnsOf(own.get());
  childNetns_ = bypass::netnsOf(tcp.get());
  if (hostNetns_ == 0 || childNetns_ == 0) {
    log("ports are relayed, not bypassed: the kernel does not tell network namespaces apart; Linux 5.14 does");
  }
  congestion_ = bypass::congestionOf(tcp.get());
  calls_ = std::make_unique<Calls>(std::move(notifications));
  connects_ = std::make_unique<Connects>(loop_, *calls_, policy_, std::move(route), congestion_);
  loop_.watch(calls_->fd(), EPOLLIN, &callHandler_);
}

void Bypass::onCall(uint32_t events) {
  Call call;
  if ((events & EPOLLIN) != 0 && calls_->receive(&call)) {
    switch (call.number) {
      case SYS_listen: onListen(call); break;
      case SYS_bind: onBind(call); break;
      case SYS_connect: onConnect(call); break;
      default: goOn(call);
    }
  } else if ((events & EPOLLHUP) != 0) {
    // Nothing runs under the filter any more.
    loop_.unwatch(calls_->fd());
  }
}

// The kernel carries the call out as the program's own. It reads the descriptor's number and the memory anew then, so
// another thread may have changed them since they were looked at here: nothing that was seen counts any more. What the
// calls that come here can do at worst is harmless all the same:
//
//   bind       a socket of the host that is not bound yet is bound: it listens and connects only through us
//   listen     of sockets that are no IP sockets, swapped for a socket of the host that was dissolved: it listens on some
//              free port of the host. It reaches nothing
//   connect    of sockets that are no IP sockets, swapped for one of the host: where the kernel has Landlock for TCP, it
//              refuses (bypass_filter.c). Where not, this is a gap for a program that is out to use it
void Bypass::goOn(const Call& call) { calls_->letGoOn(call); }

bool Bypass::takeSocket(const Call& call, const Caller& caller, Fd* out) {
  int error = caller.takeFd(int(call.arguments[0]), out);
  if (!calls_->waits(call)) return false;
  if (error == EPERM && !saidThatItCannotLook_) {
    saidThatItCannotLook_ = true;
    log("programs cannot connect and listen: the kernel keeps us from looking at their sockets (kernel.yama.ptrace_scope?); "
        "use --port-driver=builtin");
  }
  int domain = error == 0 ? bypass::option(out->get(), SOL_SOCKET, SO_DOMAIN, -1) : -1;
  if (error != 0) {
    // EBADF is the program's own; of ours it would not know what to make.
    calls_->answer(call, error == EBADF || error == EPERM ? error : ENOBUFS);
  } else if (domain < 0) {
    calls_->answer(call, ENOTSOCK);
  } else if (domain == AF_INET || domain == AF_INET6) {
    return true;
  } else if (domain != AF_UNIX && hostNetns_ != 0 && bypass::netnsOf(out->get()) == hostNetns_) {
    // We have given none of another kind, so it was made of one that we have given.
    calls_->answer(call, EPERM);
  } else {
    goOn(call);
  }
  return false;
}

void Bypass::onConnect(const Call& call) {
  Caller caller(call.thread);
  Fd socket;
  if (!takeSocket(call, caller, &socket)) return;
  uint64_t netns = bypass::netnsOf(socket.get());
  connects_->serve(call, caller, std::move(socket), netns == hostNetns_ && netns != 0, netns == childNetns_ && netns != 0);
}

void Bypass::onBind(const Call& call) {
  // The address may be free again.
  look();
  if (!policy_.hostLoopback || childNetns_ == 0) return goOn(call);
  Caller caller(call.thread);
  Fd socket;
  if (!takeSocket(call, caller, &socket)) return;
  if (bypass::option(socket.get(), SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP ||
      bypass::netnsOf(socket.get()) != childNetns_) {
    return goOn(call);
  }
  Address to;
  int error = readAddress(caller, call.arguments[1], int(call.arguments[2]), &to);
  if (!calls_->waits(call)) return;
  // Also where it is not for us: what was read is what is bound.
  if (error == 0 && bind(socket.get(), &to.sa, to.length) != 0) error = errno;
  Address own;
  if (error == 0) error = bypass::ownAddress(socket.get(), &own);
  Published* port = error == 0 ? publishedFor(SOCK_DGRAM, socket.get(), own) : nullptr;
  if (port != nullptr) give(call, caller, std::move(socket), port, 0);
  calls_->answer(call, error);
}

void Bypass::onListen(const Call& call) {
  Caller caller(call.thread);
  Fd socket;
  if (!takeSocket(call, caller, &socket)) return;
  int fd = socket.get();
  int backlog = int(call.arguments[1]);
  uint64_t netns = bypass::netnsOf(fd);
  bool listens = bypass::option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0;
  // A socket of the host is one that we have given, which may change its backlog, or one that was to connect or was
  // accepted: that one would open a port that nobody has published.
  bool refused = netns == hostNetns_ && netns != 0 && !listens;
  int error = refused ? EPERM : ::listen(fd, backlog) == 0 ? 0 : errno;
  Address own;
  if (error == 0 && !listens && netns == childNetns_ && netns != 0 &&
      bypass::option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP && bypass::ownAddress(fd, &own) == 0) {
    look();
    Published* port = publishedFor(SOCK_STREAM, fd, own);
    if (port != nullptr) give(call, caller, std::move(socket), port, backlog);
  }
  calls_->answer(call, error);
}

// The first that leads there and is not taken; a second socket of one that shares its port (SO_REUSEPORT) may have it too.
Bypass::Published* Bypass::publishedFor(int type, int socket, const Address& own) {
  Published* taken = nullptr;
  bool v6Only = bypass::isIPv6Only(socket);
  for (auto& [id, port] : ports_) {
    if (port->type != type || !bypass::isReached(own, v6Only, port->addresses)) continue;
    if (!port->isGiven()) return port.get();
    if (taken == nullptr) taken = port.get();
  }
  return bypass::option(socket, SOL_SOCKET, SO_REUSEPORT) != 0 ? taken : nullptr;
}

void Bypass::give(const Call& call, const Caller& caller, Fd original, Published* port, int backlog) {
  port->reason = tryToGive(call, caller, original, port, backlog);
  if (!port->isGiven()) relayAgain(port);
  tell(port);
}

std::string Bypass::tryToGive(const Call& call, const Caller& caller, const Fd& original, Published* port, int backlog) {
  int number = int(call.arguments[0]);
  bool v6Only = bypass::isIPv6Only(original.get());
  auto family = sa_family_t(bypass::option(original.get(), SOL_SOCKET, SO_DOMAIN));
  bypass::Place place = bypass::placeFor(port->address, port->dual, family, v6Only);
  if (!place.fits) return "the server listens in the other address family";
  if (bypass::isTiedToWay(original.get())) return "the server's socket is tied to a device or a mark";
  bool closeOnExec = false;
  int error = caller.closesOnExec(number, &closeOnExec);
  if (error != 0) return failed("the server's descriptors cannot be seen", error);
  if (caller.polls(bypass::inodeOf(original.get()), INT_MAX)) return "the server's socket was in an epoll set already";

  Fd twin = bypass::twinOf(original.get(), congestion_);
  if (!twin.valid()) return failed("socket", errno);
  if (family == AF_INET6) set(twin.get(), IPPROTO_IPV6, IPV6_V6ONLY, place.v6Only);
  // As much as relays hold; where the program has set no size of its own.
  if (port->type == SOCK_DGRAM) bypass::enlargeBuffers(twin.get(), original.get());
  if (!port->isGiven() && (error = engine_.lendPort(port->id)) != 0) return failed("the listener cannot be lent", error);
  // Both sockets allow it, and the other one does not listen: so they may have the same address (socket(7)). Ours only for
  // as long as it needs, since anybody's might.
  int reuse = bypass::option(twin.get(), SOL_SOCKET, SO_REUSEADDR);
  set(port->listener.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  set(twin.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  error = ::bind(twin.get(), &place.address.sa, place.address.length) == 0 ? 0 : errno;
  if (error == 0 && port->type == SOCK_STREAM && ::listen(twin.get(), backlog) != 0) error = errno;
  set(port->listener.get(), SOL_SOCKET, SO_REUSEADDR, 0);
  if (port->type == SOCK_DGRAM) set(twin.get(), SOL_SOCKET, SO_REUSEADDR, reuse);
  if (error != 0) return failed("the host's address cannot be given away", error);
  if (!calls_->replace(call, number, twin, closeOnExec)) return "the server was interrupted";

  bool first = !port->isGiven();
  port->given.cookies.insert(bypass::cookieOf(twin.get()));
  port->given.inodes.insert(bypass::inodeOf(twin.get()));
  if (first) {
    loop_.wantTicks(true);
    serveRest(port, place.address, Fd(fcntl(original.get(), F_DUPFD_CLOEXEC, 0)), place.rest);
  }
  return "";
}

void Bypass::serveRest(Published* port, const Address& at, Fd original, sa_family_t rest) {
  PortOptions options;
  options.direct = bypass::reachable(at);
  options.lender = port->id;
  options.target.type = port->type;
  options.target.port = at.port();
  if (original.valid()) {
    PortOptions inside;
    inside.id = port->inside = nextOwnPort_++;
    inside.direct = options.direct;
    inside.lender = options.lender;
    inside.target = options.target;
    fcntl(original.get(), F_SETFL, fcntl(original.get(), F_GETFL) | O_NONBLOCK);
    if (port->type == SOCK_DGRAM) {
      auto family = sa_family_t(bypass::option(original.get(), SOL_SOCKET, SO_DOMAIN));
      sockets::prepareListener(original.get(), family, port->type, family == AF_INET6 && !bypass::isIPv6Only(original.get()));
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
  options.id = port->rest = nextOwnPort_++;
  options.listeners.push_back(std::move(listening.fd));
  engine_.addPort(std::move(options));
}

void Bypass::look() {
  auto keep = [](auto& have, const auto& there) {
    for (auto it = have.begin(); it != have.end();) it = there.count(*it) != 0 ? std::next(it) : have.erase(it);
  };
  for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
    bypass::Found now;
    bool looked = false;
    for (auto& [id, port] : ports_) {
      if (port->type != type || !port->isGiven()) continue;
      if (!looked && !bypass::findSockets(type, 0, true, &now)) break;
      looked = true;
      keep(port->given.cookies, now.cookies);
      keep(port->given.inodes, now.inodes);
      if (port->isGiven()) continue;
      loop_.wantTicks(false);
      relayAgain(port.get());
      tell(port.get());
    }
  }
}

// Where it was given to nobody, or is no more.
void Bypass::relayAgain(Published* port) {
  for (uint32_t* own : {&port->inside, &port->rest}) {
    if (*own != 0) engine_.removePort(*own);
    *own = 0;
  }
  // The program may want the address in the child again, and at once.
  engine_.settle();
  if (port->type == SOCK_STREAM) set(port->listener.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  int error = engine_.takeBackPort(port->id);
  if ((error != 0) != port->waits) {
    port->waits = error != 0;
    loop_.wantTicks(port->waits);
    Event event{Event::Kind::portState};
    event.id = port->id;
    if (error != 0) event.text = failed("cannot listen again", error) + "; trying on";
    events_.emit(std::move(event));
  }
}

void Bypass::tick() {
  if (connects_) connects_->tick();
  if (++ticks_ % kTicksPerLook != 0) return;
  for (auto& [id, port] : ports_) {
    if (port->waits) relayAgain(port.get());
  }
  look();
}

void Bypass::tell(Published* port) {
  std::lock_guard<std::mutex> lock(mutex_);
  states_[port->id] = {port->isGiven(), port->isGiven() ? "" : port->reason};
}

Bypass::State Bypass::state(uint32_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto it = states_.find(id);
  return it == states_.end() ? State{} : it->second;
}

void Bypass::addPort(uint32_t id, int type, std::vector<Address> addresses) {
  loop_.post([this, id, type, addresses = std::move(addresses)] {
    auto port = std::make_unique<Published>();
    port->id = id;
    port->type = type;
    port->addresses = addresses;
    port->listener = engine_.listenerOf(id);
    // Removed again already.
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
      closeOf(it->second.get());
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
    if (it != ports_.end() && !it->second->isGiven()) {
      fd = engine_.handOverPort(id);
      if (fd.valid()) {
        Published* port = it->second.get();
        port->given.cookies.insert(bypass::cookieOf(fd.get()));
        port->given.inodes.insert(bypass::inodeOf(fd.get()));
        loop_.wantTicks(true);
        tell(port);
      }
    }
    handed->set_value(std::move(fd));
  });
  return handed->get_future().get();
}

// Programs keep their descriptors; but what they lead to ends.
void Bypass::closeOf(Published* port) {
  if (port->waits) loop_.wantTicks(false);
  if (!port->isGiven()) return;
  loop_.wantTicks(false);
  bypass::Found sockets = port->given;
  bypass::findSockets(port->type, port->address.port(), false, &sockets);
  processes::eachSocketBelow(root_, sockets.inodes, [&](Fd fd) {
    if (sockets.cookies.count(bypass::cookieOf(fd.get())) == 0) return;
    // Where it keeps the address, others may have it too.
    set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (port->type == SOCK_STREAM) {
      shutdown(fd.get(), SHUT_RDWR);
    } else {
      sockets::connectToSelf(fd.get());
    }
  });
  for (uint32_t own : {port->inside, port->rest}) {
    if (own != 0) engine_.removePort(own);
  }
  engine_.settle();
}
