#include "bypass/bypass.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <utility>

#include "bypass/host_sockets.h"
#include "bypass/published.h"
#include "sandbox/bypass_filter.h"

namespace rn {

namespace {

// Internal ports of the engine, which JavaScript does not see, have ids that others never reach.
constexpr uint32_t kFirstInternalPort = 0x80000000;
// Ticks of 100 ms between two polls of the host sockets that programs have.
constexpr int kTicksPerPoll = 3;

}  // namespace

Bypass::Bypass(EventSink& events, Engine& engine, Options options)
    : events_(events),
      engine_(engine),
      root_(options.root),
      policy_(options.policy),
      hello_(std::move(options.hello)),
      nextInternalPort_(kFirstInternalPort) {
  loop_.onTick([this] { tick(); });
  loop_.start();
  loop_.post([this] { loop_.watch(hello_.get(), EPOLLIN, this); });
}

Bypass::~Bypass() {
  // Pending calls of programs fail when the descriptor of the notifications is closed.
  loop_.stop();
  connects_.reset();
}

void Bypass::log(const std::string& text) {
  Event event{Event::Kind::log};
  event.text = text;
  events_.emit(std::move(event));
}

void Bypass::relayAll(const std::string& why) {
  log("ports are relayed, not bypassed: " + why);
  std::lock_guard<std::mutex> lock(mutex_);
  common_.reason = why;
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
  loop_.unwatch(this);
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
    relayAll("the command cannot be filtered: " + describeError(hello.what, hello.error));
    return;
  }
  Fd own(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  hostNetns_ = bypass::netnsOf(own.get());
  childNetns_ = bypass::netnsOf(tcp.get());
  if (hostNetns_ == 0 || childNetns_ == 0) {
    relayAll("the kernel cannot distinguish network namespaces; Linux 5.14 can");
  }
  if (!hello.landlocked && !policy_.hostLoopback) {
    log("the kernel has no Landlock for TCP: a malicious program inside can reach servers on the host's loopback with "
        "the sockets of bypassed ports; hint: use Linux 6.7 or later with landlock among its security modules (lsm=), or "
        "--port-driver=builtin");
    std::lock_guard<std::mutex> lock(mutex_);
    common_.unguarded = true;
  }
  congestion_ = bypass::congestionOf(tcp.get());
  calls_ = std::make_unique<Calls>(std::move(notifications));
  connects_ =
      std::make_unique<Connects>(loop_, watchdog_, *calls_, Connects::Options{policy_, std::move(route), congestion_});
  loop_.watch(calls_->fd(), EPOLLIN, &callHandler_);
}

void Bypass::onCall(uint32_t events) {
  Call call;
  if ((events & EPOLLIN) != 0 && calls_->receive(&call)) {
    callHandler_.progress();
    switch (call.number) {
      case SYS_listen: onListen(call); break;
      case SYS_bind: onBind(call); break;
      case SYS_connect: onConnect(call); break;
      default: continueCall(call);
    }
  } else if ((events & EPOLLHUP) != 0) {
    // No process runs under the filter any more.
    loop_.unwatch(&callHandler_);
  }
}

// The kernel carries out the call as the program made it. It reads the descriptor's number and the memory again then, so
// another thread may have changed them since they were checked here: no check counts any more. The worst that such calls
// can do is harmless nevertheless:
//
//   bind       binds a socket of the host that is not bound yet: it listens and connects only through this process
//   listen     of a non-IP socket that is swapped for a disconnected socket of the host: it listens on some free port of
//              the host, and reaches nothing
//   connect    of a non-IP socket that is swapped for one of the host: the kernel refuses it if it has Landlock for TCP
//              (bypass_filter.c). If not, this is a gap that a malicious program can use
void Bypass::continueCall(const Call& call) { calls_->continueSyscall(call); }

bool Bypass::takeSocket(const Call& call, const Caller& caller, Fd* out) {
  int error = caller.takeFd(int(call.arguments[0]), out);
  if (!calls_->isPending(call)) return false;
  if (error == EPERM && !warnedAboutPtrace_) {
    warnedAboutPtrace_ = true;
    log("programs cannot connect and listen: the kernel does not allow access to their sockets (kernel.yama.ptrace_scope?); "
        "hint: use --port-driver=builtin");
  }
  int domain = error == 0 ? bypass::option(out->get(), SOL_SOCKET, SO_DOMAIN, -1) : -1;
  if (error != 0) {
    // EBADF is about the program's descriptor; other errors are about this process, and would mislead the program.
    calls_->answer(call, error == EBADF || error == EPERM ? error : ENOBUFS);
  } else if (domain < 0) {
    calls_->answer(call, ENOTSOCK);
  } else if (domain == AF_INET || domain == AF_INET6) {
    return true;
  } else if (domain != AF_UNIX && hostNetns_ != 0 && bypass::netnsOf(out->get()) == hostNetns_) {
    // Programs were given IP sockets only, so this one was derived from one of those.
    calls_->answer(call, EPERM);
  } else {
    continueCall(call);
  }
  return false;
}

void Bypass::onConnect(const Call& call) {
  Caller caller(call.thread);
  TakenFd taken(watchdog_);
  Fd& socket = taken.fd;
  if (!takeSocket(call, caller, &socket)) return;
  uint64_t netns = bypass::netnsOf(socket.get());
  connects_->handle(call, caller, &socket, netns == hostNetns_ && netns != 0, netns == childNetns_ && netns != 0);
}

void Bypass::onBind(const Call& call) {
  // The address may be free again.
  pollSockets();
  if (!policy_.hostLoopback || childNetns_ == 0) return continueCall(call);
  Caller caller(call.thread);
  TakenFd taken(watchdog_);
  Fd& socket = taken.fd;
  if (!takeSocket(call, caller, &socket)) return;
  if (bypass::option(socket.get(), SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP ||
      bypass::netnsOf(socket.get()) != childNetns_) {
    return continueCall(call);
  }
  Address to;
  int error = readAddress(caller, call.arguments[1], int(call.arguments[2]), &to);
  if (!calls_->isPending(call)) return;
  // Also where the port is not published: the address that was read must be the one that is bound.
  if (error == 0 && bind(socket.get(), &to.sa, to.length) != 0) error = errno;
  Address own;
  if (error == 0) error = bypass::ownAddress(socket.get(), &own);
  Published* port = error == 0 ? publishedFor(SOCK_DGRAM, socket.get(), own) : nullptr;
  if (port != nullptr) replaceSocket(call, caller, socket, port, 0);
  calls_->answer(call, error);
}

void Bypass::onListen(const Call& call) {
  Caller caller(call.thread);
  TakenFd taken(watchdog_);
  Fd& socket = taken.fd;
  if (!takeSocket(call, caller, &socket)) return;
  int fd = socket.get();
  int backlog = int(call.arguments[1]);
  uint64_t netns = bypass::netnsOf(fd);
  bool listens = bypass::option(fd, SOL_SOCKET, SO_ACCEPTCONN) != 0;
  // A socket of the host was given to the program as a listener, which may change its backlog; or it is an outgoing or
  // accepted connection, which would open a port that is not published.
  bool refused = netns == hostNetns_ && netns != 0 && !listens;
  int error = refused ? EPERM : ::listen(fd, backlog) == 0 ? 0 : errno;
  Address own;
  if (error == 0 && !listens && netns == childNetns_ && netns != 0 && bypass::isTcp(fd) &&
      bypass::ownAddress(fd, &own) == 0) {
    pollSockets();
    Published* port = publishedFor(SOCK_STREAM, fd, own);
    if (port != nullptr) replaceSocket(call, caller, socket, port, backlog);
  }
  calls_->answer(call, error);
}

void Bypass::tick() {
  if (connects_) connects_->tick();
  if (++ticks_ % kTicksPerPoll != 0) return;
  for (auto& [id, port] : ports_) {
    if (port->retrying) resumeRelay(port.get());
  }
  pollSockets();
}

Bypass::State Bypass::state(uint32_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto it = states_.find(id);
  State state = it == states_.end() ? common_ : it->second;
  if (!state.bypassed && state.reason.empty()) state.reason = common_.reason;
  state.unguarded = common_.unguarded;
  return state;
}

}  // namespace rn
