#pragma once
#include <string>

#include "system/sockets.h"

namespace rn {

// Whether a TCP server accepts connections at that address, seen from the network namespace at the path `netns`, from this
// one where that is empty. Returns 0 or an errno; ETIMEDOUT after so many milliseconds. The server sees a connection that ends at once.
int tryConnect(const Address& to, const std::string& netns, unsigned ms);

}  // namespace rn
