// Headers of IP packets that are made here (RFC 791; RFC 8200, 3 and 4.5).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "system/sockets.h"

namespace rn {

namespace ip {

// With the extension header of a fragment.
constexpr size_t kMaxHeader = 48;
// Offsets of fragments are multiples of it.
constexpr size_t kFragmentUnit = 8;
// What the length field can say: of IPv4 with the header, of IPv6 without.
constexpr size_t kMaxLength = 65535;

struct Fields {
  // Their ports are not looked at.
  const Address& source;
  const Address& destination;
  uint8_t protocol;
  // What follows the header, in bytes.
  size_t length;
  // What the receiver finds the fragments of a packet by; packets may be fragmented on the way (IPv4).
  uint32_t id;
};

// Where a fragment's bytes are in the packet.
struct Part {
  size_t offset;
  bool isLast;
};

constexpr size_t headerSize(bool v4) { return v4 ? 20 : 40; }
// In network byte order.
uint16_t etherType(bool v4);

// Writes the header to `out`, which has room for kMaxHeader bytes; `part` of a fragment, null of a whole packet. IPv4 packets
// may be fragmented on the way. Returns its size.
size_t writeHeader(char* out, const Fields& fields, const Part* part);

}  // namespace ip

template <typename Header>
std::string_view bytesOf(const Header& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

}  // namespace rn
