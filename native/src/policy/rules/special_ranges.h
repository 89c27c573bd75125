// Addresses that are not simply somewhere on the Internet: the special-purpose registries of IANA (RFC 6890), and the
// addresses at which clouds serve credentials to their machines.
#pragma once
#include <cstdint>

#include "policy/rules/networks.h"

namespace rn {

enum class Range : uint8_t { open, host, loopback, privateUse, linkLocal, metadata, multicast, reserved };

// For messages: "a private address".
const char* describe(Range range);

struct SpecialRange {
  Range range = Range::open;
  // Of the innermost range that has the address, in the bits of an AddressNumber; 0 for open ones. A rule is about this
  // range, and not about more, if its prefix is not shorter.
  int prefix = 0;
};

// The IPv4 address behind one that a translator has (64:ff9b::/96, RFC 6052); any other address itself.
AddressNumber untranslated(const AddressNumber& address);

// An address that a translator to IPv4 has (64:ff9b::/96, RFC 6052) is in the range of the address behind it.
SpecialRange specialRangeOf(const AddressNumber& address);

}  // namespace rn
