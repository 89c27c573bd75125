// Connecting a socket to a server inside: what the agent does for each request, and the parent with sockets of its pool
// (pool/pooled_dials.h).
//
// Theory of operation. The addresses of a route are tried in their order, each with the request's port, until one accepts.
// connect(2) to a local address is complete when the call returns, or when it is called again; only other connects are
// watched (PendingConnect).
//
// Where the server is to see the client's address, the socket is bound to it (ip(7), IP_TRANSPARENT). If the client's port
// is taken, another one is used; if there is no route from that address, it is not kept.
#pragma once
#include <errno.h>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "loop/loop.h"
#include "return_path/return_paths.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

using Addresses = std::shared_ptr<const std::vector<Address>>;

// What a port requests for each of its connections.
struct DialTarget {
  std::shared_ptr<const std::string> request;  // msgpack, see wire.h; shared by the ports of a range
  int type = SOCK_STREAM;
  uint16_t port = 0;  // the child's
  // Where the dial rule leads, as far as the parent knows it; null where only the agent does. See inbound/inbound_dials.h.
  Addresses inbound = nullptr;
};

// What a socket is for.
struct Outgoing {
  int type = SOCK_STREAM;
  // The server's.
  uint16_t port = 0;
  // The client's; its length is 0 where it is unknown.
  Address source;
  // Whether the socket is bound to the source, where the families match; and its mark (SO_MARK) then, 0 for none.
  bool keepSource = false;
  uint32_t mark = 0;
  // Rather fails with ECANCELED than does not keep the source.
  bool insists = false;
};

// Where sockets come from, and the calls that differ between the agent and the parent.
class Sockets {
 public:
  virtual ~Sockets() = default;
  // An unconnected, non-blocking socket for a connection to that address; invalid, with errno, on failure.
  virtual Fd make(int type, const Address& to) = 0;
  // connect(2). Returns 0 or an errno.
  virtual int connect(int fd, const Address& to) = 0;
  virtual void discard(Fd fd) = 0;
  // Leads the answers of a connected socket that is bound to a client's address back to it.
  virtual ReturnPaths::Result leadBack(int fd, const Address& to, const Outgoing& out) = 0;
  // A socket of sock_diag(7) in the namespace of the sockets; -1 where it is this one.
  virtual int diagnostics() const { return -1; }
};

// A socket that is connected or connecting, and *error is 0 or EINPROGRESS; invalid, with *error, on failure.
Fd openTo(Sockets& sockets, Outgoing out, const Address& to, int* error);

// A TCP connection that is made.
class TcpConnect {
 public:
  enum class State { connected, pending, failed };

  // Begins with the address at `index`.
  TcpConnect(Outgoing out, Addresses addresses, size_t index)
      : out_(out), addresses_(std::move(addresses)), index_(index) {}
  // Tries the address at the index, and those after it.
  State start(Sockets& sockets);
  // The pending connect(2) has a result.
  State resume(Sockets& sockets);
  // The socket, where it is connected or pending.
  Fd fd;
  // An errno, where it failed.
  int error() const { return error_; }

 private:
  Address to() const;
  void giveUp(Sockets& sockets);

  Outgoing out_;
  Addresses addresses_;
  size_t index_;
  int error_ = ECONNREFUSED;
};

// A connect(2) in progress.
class PendingConnect : public Handler, public DeferredDelete {
 public:
  PendingConnect(Loop& loop, TcpConnect connect);
  void onEvents(uint32_t events) override;

 protected:
  virtual Sockets& sockets() = 0;
  // Called once; it is deleted afterwards. `connect` has the socket or the error.
  virtual void onDone(TcpConnect& connect, TcpConnect::State state) = 0;
  // Ends it without onDone().
  void end();

 private:
  Loop& loop_;
  TcpConnect connect_;
};

}  // namespace rn
