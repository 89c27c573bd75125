// The port driver bypass, published ports at native speed: a program below the command that listens gets a socket of the
// host in place of its own, and nothing is relayed.
//
// Theory of operation. The command runs under a seccomp filter (bypass_filter.c) whose notifications come here, on a
// thread of its own. A program's listen(2) on a published port goes like this:
//
//   1. its socket, which is bound in the child's network namespace, is duplicated (pidfd_getfd), and listens there: the
//      result is what the program's call returns
//   2. the engine stops listening for the port on the host, and keeps the address; so it is never free
//   3. a new socket of the host, with the options that the program has set, is bound to that address, and listens
//   4. it takes the place of the program's socket (SECCOMP_IOCTL_NOTIF_ADDFD)
//   5. the program's first socket is served by an internal port of the engine, which forwards connections to the new one:
//      that is how programs inside, and other published ports for the same server, still reach it
//
// From then on the program accepts clients of the host without the parent. The parent keeps no descriptor of the new
// socket, so the socket is gone when the program closes it or ends. The kernel is polled for that (inet_diag) about every
// 300 ms, and at each bind and listen below the command; when it is gone, the engine listens again and relays, as it does
// for servers that cannot be bypassed: those that run already, or outside of the filter, or have added their socket to an
// epoll set before they listen (the set would keep the old one).
//
// UDP works alike, with bind(2) in place of listen(2); but only where programs may reach the host's loopback, since a
// program with a UDP socket of the host may send anywhere, which no filter can check without being slow.
//
// A program may block this thread for as long as it likes: memory that the kernel reads here, and files that it closes, may
// be served by the program itself (userfaultfd(2), FUSE). Then programs below the command wait in these calls; but the
// engine's thread and JavaScript's do not wait for this one.
//
// connect(2) of sockets of the host is restricted, see connects.h. All other calls, and calls on other sockets, are carried
// out by the kernel as usual: see continueCall() in the .cc for what that means.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "bypass/caller.h"
#include "bypass/calls.h"
#include "bypass/connects.h"
#include "engine/engine.h"
#include "loop/loop.h"
#include "loop/watchdog.h"
#include "system/sockets.h"

namespace rn {

class Bypass : public Handler {
 public:
  struct State {
    bool bypassed = false;
    // Why a server that could be bypassed is not.
    std::string reason;
    // Of all ports: the kernel has no Landlock for TCP, so a malicious program may connect sockets of the host by itself.
    bool unguarded = false;
  };

  struct Options {
    // The socket on which the command's process sends its descriptors (bypass_filter.h).
    Fd hello;
    // The process above all programs, as this pid namespace counts.
    pid_t root;
    ConnectPolicy policy;
  };

  Bypass(EventSink& events, Engine& engine, Options options);
  ~Bypass() override;

  // Any thread. `addresses` are the port's targets in the child; the engine has the port already.
  void addPort(uint32_t id, int type, std::vector<Address> addresses);
  // Ends the listeners and connections that programs have of the port; Event::Kind::bypassEnded reports the completion.
  void removePort(uint32_t id);
  State state(uint32_t id);
  // The engine's own listener of the port, which the command inherits; invalid where there is none. The command keeps it
  // from then on. Before the command runs.
  Fd activate(uint32_t id);

  // A packet on `hello`, or its end.
  void onEvents(uint32_t events) override;

 private:
  struct Published;
  class CallHandler : public Handler {
   public:
    explicit CallHandler(Bypass* bypass) : bypass_(bypass) {}
    void onEvents(uint32_t events) override { bypass_->onCall(events); }
    using Handler::progress;

   private:
    Bypass* bypass_;
  };

  void onCall(uint32_t events);
  void onBind(const Call& call);
  void onListen(const Call& call);
  void onConnect(const Call& call);
  void continueCall(const Call& call);
  // Duplicates the program's socket of a call. False where the call has been answered: always, unless it is an IP socket.
  bool takeSocket(const Call& call, const Caller& caller, Fd* out);

  Published* publishedFor(int type, int socket, const Address& own);
  // Puts a socket of the host in place of the program's. Stores why it could not; tryReplace() returns that.
  void replaceSocket(const Call& call, const Caller& caller, const Fd& original, Published* port, int backlog);
  std::string tryReplace(const Call& call, const Caller& caller, const Fd& original, Published* port, int backlog);
  void addInternalPorts(Published* port, const Address& at, Fd original, sa_family_t rest);
  // Relays again where programs' sockets are gone.
  void pollSockets();
  void resumeRelay(Published* port);
  void closePort(Published* port);
  void tick();
  void publishState(Published* port);
  // Reports that no port can be bypassed, and why.
  void relayAll(const std::string& why);
  void log(const std::string& text);

  EventSink& events_;
  Engine& engine_;
  pid_t root_;
  ConnectPolicy policy_;
  Loop loop_;
  Watchdog watchdog_;
  Fd hello_;
  CallHandler callHandler_{this};
  std::unique_ptr<Calls> calls_;
  std::unique_ptr<Connects> connects_;
  // Cookies of the network namespaces: the host's, where this process is, and the child's; 0 if the kernel has none.
  uint64_t hostNetns_ = 0;
  uint64_t childNetns_ = 0;
  // The child's default congestion control.
  std::string congestion_;
  std::map<uint32_t, std::unique_ptr<Published>> ports_;
  uint32_t nextInternalPort_;
  int users_ = 0;
  int ticks_ = 0;
  bool warnedAboutPtrace_ = false;

  std::mutex mutex_;
  std::map<uint32_t, State> states_;
  // Of all ports that have none of their own.
  State common_;
};

}  // namespace rn
