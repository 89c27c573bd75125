// The header of a connection in the PROXY protocol (haproxy.org, doc/proxy-protocol.txt, versions 1 and 2): the client's
// address, and the address that it connected to.
#pragma once
#include <string>

#include "system/sockets.h"

namespace rn {

namespace proxy {

// `version` is 1 or 2.
std::string header(int version, const Address& client, const Address& asked);

}  // namespace proxy

}  // namespace rn
