// Published ports at native speed: a program below the command that listens gets a socket of the host for its own, and
// nothing is relayed.
//
// Theory of operation. The command runs under a seccomp filter (bypass_filter.c) whose notifications come here, on a
// thread of its own. A program's listen(2) on a published port goes like this:
//
//   1. its socket, which is bound in the child's network namespace, is taken from it (pidfd_getfd), and listens there: what
//      that says is what the program is told
//   2. the engine stops listening for the port on the host, and keeps the address; so it is never free
//   3. a new socket of the host, with the options that the program has set, is bound to that address, and listens
//   4. it takes the place of the program's socket (SECCOMP_IOCTL_NOTIF_ADDFD)
//   5. the program's first socket is served by the engine, which leads what connects to it to the new one: that is how
//      programs inside, and other published ports that lead to the same server, still find it
//
// The program is asked again nowhere: it accepts clients of the host by itself. The parent keeps no descriptor of the new
// socket, so it goes when the program closes it or ends. The kernel is asked whether it still is there (inet_diag), about
// every 300 ms and at each bind and listen below the command; when it is not, the engine listens again and relays, as it
// does for servers that do not come this way: those that run already, or outside of the filter, or have their socket in an
// epoll set before they listen (the set would go on with the old one).
//
// UDP is alike, with bind(2) in place of listen(2); but only where programs may reach the host's loopback, since a
// program with a UDP socket of the host may send anywhere, which no filter can look at without being slow.
//
// A program may keep this thread waiting for as long as it likes: what it has the kernel read, or close, may lead to memory
// or files that it serves itself (userfaultfd(2), FUSE). Then programs below the command wait in these calls; but the
// engine's thread and JavaScript's do not wait for this one.
//
// connect(2) of sockets of the host goes where bypass_connect.h allows it. What is not one of these calls, or not about
// these sockets, the kernel carries out as ever: see go_on() in the .cc for what that means.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "bypass_calls.h"
#include "bypass_connect.h"
#include "bypass_process.h"
#include "engine.h"
#include "loop.h"
#include "sockets.h"

class Bypass : public Handler {
 public:
  struct State {
    bool bypassed = false;
    // Why a server that could be is not.
    std::string reason;
  };

  // `hello` is the socket that the command's process tells its descriptors on (bypass_filter.h); `root` is the process
  // that all programs are below, as we count.
  Bypass(EventSink& events, Engine& engine, Fd hello, pid_t root, ConnectPolicy policy);
  ~Bypass() override;

  // Any thread. `addresses` are those in the child that the port leads to; the port is the engine's already.
  void addPort(uint32_t id, int type, std::vector<Address> addresses);
  // Ends the listeners and connections that programs have of the port; Event::Kind::bypassEnded says when that is done.
  void removePort(uint32_t id);
  State state(uint32_t id);
  // The engine's own listener of the port, for the command to start with; invalid where there is none. It stays the
  // command's, whatever becomes of it there. Before the command runs.
  Fd activate(uint32_t id);

  // A packet on `hello`, or its end.
  void onEvents(uint32_t events) override;

 private:
  struct Published;
  class CallHandler : public Handler {
   public:
    explicit CallHandler(Bypass* bypass) : bypass_(bypass) {}
    void onEvents(uint32_t events) override { bypass_->onCall(events); }

   private:
    Bypass* bypass_;
  };

  void onCall(uint32_t events);
  void onBind(const Call& call);
  void onListen(const Call& call);
  void onConnect(const Call& call);
  void goOn(const Call& call);
  // The program's socket of a call. False where the call has been seen to: so with all but IP sockets.
  bool takeSocket(const Call& call, const Caller& caller, Fd* out);

  Published* publishedFor(int type, int socket, const Address& own);
  // Puts a socket of the host in place of the program's. What keeps it from that is written down.
  void give(const Call& call, const Caller& caller, Fd original, Published* port, int backlog);
  std::string tryToGive(const Call& call, const Caller& caller, const Fd& original, Published* port, int backlog);
  void serveRest(Published* port, const Address& at, Fd original, sa_family_t rest);
  // Relays again where programs' sockets are gone.
  void look();
  void relayAgain(Published* port);
  void closeOf(Published* port);
  void tick();
  void tell(Published* port);
  void log(const std::string& text);

  EventSink& events_;
  Engine& engine_;
  pid_t root_;
  ConnectPolicy policy_;
  Loop loop_;
  Fd hello_;
  CallHandler callHandler_{this};
  std::unique_ptr<Calls> calls_;
  std::unique_ptr<Connects> connects_;
  // Network namespaces: the host's, which is ours, and the child's; 0 where the kernel does not tell them apart.
  uint64_t hostNetns_ = 0;
  uint64_t childNetns_ = 0;
  // The child's default.
  std::string congestion_;
  std::map<uint32_t, std::unique_ptr<Published>> ports_;
  uint32_t nextOwnPort_;
  int users_ = 0;
  int ticks_ = 0;
  bool saidThatItCannotLook_ = false;

  std::mutex mutex_;
  std::map<uint32_t, State> states_;
};
