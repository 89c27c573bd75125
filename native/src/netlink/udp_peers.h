#pragma once

#include <linux/inet_diag.h>

#include "system/sockets.h"

namespace rn {

// Finds the socket of the network namespace that `diag` belongs to, a socket of sock_diag(7), that gets what comes from
// `remote` to `local`: `protocol` is that of IP. Returns 0, ENOENT where there is none, or another errno.
int findSocket(int diag, uint8_t protocol, const Address& local, const Address& remote, inet_diag_msg* found);

// Whether some UDP socket, of any process, is connected from one address to the other. True where the kernel does not report
// that. `diag` is a socket of sock_diag(7) in its namespace; -1 for this one.
bool isConnectedUdp(const Address& from, const Address& to, int diag = -1);

}  // namespace rn
