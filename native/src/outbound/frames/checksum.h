// The Internet checksum (RFC 1071). Sums are of 16-bit words in memory order, so results can be stored as they are.
#pragma once
#include <cstdint>
#include <string_view>

#include "system/sockets.h"

namespace rn {

namespace checksum {

// Adds bytes to a sum; an odd number of them only at the end.
uint64_t add(uint64_t sum, std::string_view bytes);
// The pseudo header of TCP, UDP and ICMPv6 (RFC 9293, 3.1; RFC 8200, 8.1).
uint64_t pseudoHeader(const Address& source, const Address& destination, uint8_t protocol, size_t length);
uint16_t fold(uint64_t sum);
inline uint16_t finish(uint64_t sum) { return uint16_t(~fold(sum)); }

}  // namespace checksum

}  // namespace rn
