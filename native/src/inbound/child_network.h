// What the parent asks the kernel about the child's network namespace, with netlink sockets that belong to it: nobody
// inside is asked, and no answer is of their making. Each question is two calls that do not block.
//
// Root inside may control the launcher, which has made these sockets, and take answers away or give wrong ones. That
// only chooses between two ways to the same child.
//
// Sources: sock_diag(7), rtnetlink(7), netdevice(7).
#pragma once
#include <string>

#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

class ChildNetwork {
 public:
  // What gets a connection or datagram to an address: nothing, a socket that is bound to every address, or to that one.
  enum class Listener { none, everyAddress, oneAddress };

  // `device` is the end of the veth pair. Returns false where these are not such sockets.
  bool open(Fd diag, Fd route, const std::string& device);
  // `type` as in socket(2). Where the kernel cannot be asked: none.
  Listener listenerFor(int type, const Address& local, const Address& client) const;
  // Whether what is sent from that address of the device to the client leaves by way of the gateway.
  bool leadsOut(const Address& own, const Address& client) const;

 private:
  Fd diag_;
  Fd route_;
  // Of the device.
  uint32_t index_ = 0;
};

}  // namespace rn
