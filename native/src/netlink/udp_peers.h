#pragma once

#include "system/sockets.h"

namespace rn {

// Whether some UDP socket of this network namespace, of any process, is connected from one address to the other
// (sock_diag(7)). True where the kernel does not report that.
bool isConnectedUdp(const Address& from, const Address& to);

}  // namespace rn
