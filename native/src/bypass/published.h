// A published port of the port driver bypass.
#pragma once
#include <string.h>
#include <string>
#include <vector>

#include "bypass/bypass.h"
#include "bypass/host_sockets.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

inline std::string describeError(const char* what, int error) { return std::string(what) + ": " + strerror(error); }

struct Bypass::Published {
  uint32_t id;
  int type;
  // Its targets in the child.
  std::vector<Address> addresses;
  // The engine's listener.
  Fd listener;
  Address address;
  bool dual = false;
  // Sockets of the host that programs have for it; if there are none, it is relayed.
  bypass::Found hostSockets;
  // Internal ports of the engine that forward to these: the program's socket in the child, and the other family.
  uint32_t inside = 0;
  uint32_t rest = 0;
  // The engine could not listen again, and retries.
  bool retrying = false;
  std::string reason;

  bool isBypassed() const { return !hostSockets.cookies.empty(); }
};

}  // namespace rn
