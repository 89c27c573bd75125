// The head of a connection in the PROXY protocol (haproxy.org, doc/proxy-protocol.txt, versions 1 and 2): who the client is,
// and which address he asked.
#pragma once
#include <string>

#include "sockets.h"

namespace proxy {

// `version` is 1 or 2.
std::string head(int version, const Address& client, const Address& asked);

}  // namespace proxy
