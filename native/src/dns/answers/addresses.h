// What an answer says about addresses, for rules that allow connections by name.
//
// Theory of operation. Only records of the asked name count, and of the last of those names that it leads to by CNAME
// records: an address that an answer holds for any other name was not asked for. The CNAME records may be in any order.
// HTTPS and SVCB records (RFC 9460) hold addresses, too, which browsers connect to (ipv4hint, ipv6hint), and names of
// other servers of the same service. An answer with more of something than the limits below is malformed.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "dns/message.h"
#include "system/sockets.h"

namespace rn {

namespace dns {

constexpr size_t kMaxAliases = 16;
constexpr size_t kMaxAddresses = 768;
constexpr size_t kMaxTargets = 32;

struct Found {
  // Of the asked name; their port is 0.
  std::vector<Address> addresses;
  // Other names that it leads to: those of its CNAME chain, then servers of HTTPS and SVCB records.
  std::vector<Name> names;
  // The least of those records, in seconds; 0 where there are none.
  uint32_t ttl = 0;
};

// False where the message is malformed or no answer. Errors such as NXDOMAIN are answers with nothing.
bool findAddresses(std::string_view reply, Found* out);

}  // namespace dns

}  // namespace rn
