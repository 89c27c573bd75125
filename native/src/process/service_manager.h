#pragma once

#include <string>

#include "system/sockets.h"

namespace rn {

// What the protocols of service managers need and Node does not have.
namespace service_manager {

// Sends one datagram to a UNIX socket; a path that begins with @ is an abstract name (sd_notify(3)). Returns 0 or an errno.
int sendDatagram(const std::string& path, const std::string& data);

struct Socket {
  int type = 0;  // SOCK_STREAM or SOCK_DGRAM
  Address address;
  bool dual = false;  // serves both families
};

// Inspects an inherited descriptor, and has it closed in programs that are started. Returns 0 or an errno: ENOTSUP where it
// is neither a TCP listener nor a bound UDP socket.
int takeSocket(int fd, Socket* out);

}  // namespace service_manager

}  // namespace rn
