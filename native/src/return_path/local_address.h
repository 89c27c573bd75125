#pragma once
#include <string>

namespace rn {

// Adds an IPv4 address to lo of this network namespace (rtnetlink(7), RTM_NEWADDR, /32). All of 127.0.0.0/8 is reachable
// without that; but replies come from an address of lo only if lo has it: then a UDP server that is bound to every address
// answers 127.0.0.2 from 127.0.0.2, and not from 127.0.0.1. Returns 0 or an errno.
int addLoopbackAddress(const std::string& ip);

}  // namespace rn
