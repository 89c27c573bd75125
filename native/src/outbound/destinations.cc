#include "outbound/destinations.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

namespace rn {

namespace {

constexpr uint16_t kDnsPort = 53;

bool sameIp(const Address& a, const Address& b) { return a.family() == b.family() && a.ipBytes() == b.ipBytes(); }

bool within(const Address& address, const Address& network, uint8_t prefix) {
  if (address.family() != network.family()) return false;
  std::string_view a = address.ipBytes(), b = network.ipBytes();
  size_t whole = prefix / 8;
  if (a.substr(0, whole) != b.substr(0, whole)) return false;
  unsigned mask = 0xff00u >> (prefix % 8) & 0xff;
  return mask == 0 || ((unsigned(a[whole]) ^ unsigned(b[whole])) & mask) == 0;
}

// Addresses that no packet to another host can have (RFC 6890), or that mean another family's (RFC 4291, 2.5.5).
bool isUnroutable(const Address& address) {
  if (address.family() == AF_INET) {
    uint32_t ip = ntohl(address.v4.sin_addr.s_addr);
    uint32_t first = ip >> 24;
    return first == 0 || first == 127 || first >= 224;
  }
  const in6_addr& ip = address.v6.sin6_addr;
  static constexpr unsigned char kZero[10] = {};
  // ::, ::1, v4-mapped and v4-compatible ones.
  if (memcmp(ip.s6_addr, kZero, sizeof kZero) == 0) return true;
  return IN6_IS_ADDR_LINKLOCAL(&ip) || IN6_IS_ADDR_MULTICAST(&ip);
}

// To all or many hosts; no error may be sent in reply (RFC 1122, 3.2.2; RFC 4443, 2.4 e).
bool isForMany(const Address& address, const Destinations::Subnet& subnet) {
  if (address.family() == AF_INET6) return IN6_IS_ADDR_MULTICAST(&address.v6.sin6_addr);
  uint32_t ip = ntohl(address.v4.sin_addr.s_addr);
  uint32_t hosts = subnet.prefix < 32 ? 0xffffffffu >> subnet.prefix : 0;
  return IN_MULTICAST(ip) || ip == INADDR_BROADCAST ||
         (within(address, subnet.child, subnet.prefix) && hosts != 0 && (ip & hosts) == hosts);
}

Address loopback(const Address& like) {
  Address out;
  Address::parse(like.family() == AF_INET ? "127.0.0.1" : "::1", like.port(), &out);
  return out;
}

Destination none(int error) { return {Destination::Kind::none, {}, error}; }

}  // namespace

Destination Destinations::ofGateway(const Address& inside, uint8_t protocol) const {
  for (const HostPort& one : options_.hostPorts) {
    if (one.protocol != protocol || one.port != inside.port()) continue;
    Destination destination{Destination::Kind::host, one.address, 0};
    destination.granted = true;
    return destination;
  }
  // There is no service at all, as on a host with all ports closed.
  if (!options_.hostLoopback && protocol != IPPROTO_ICMP) return none(ECONNREFUSED);
  return {Destination::Kind::host, loopback(inside), 0};
}

const Destinations::Subnet& Destinations::subnetOf(const Address& inside) const {
  return inside.family() == AF_INET ? options_.v4 : options_.v6;
}

Destination Destinations::find(const Address& inside, uint8_t protocol) const {
  const Subnet& subnet = subnetOf(inside);
  if (isForMany(inside, subnet)) return none(0);
  if (subnet.child.family() == 0 || isUnroutable(inside)) return none(EHOSTUNREACH);
  if (sameIp(inside, subnet.gateway)) return ofGateway(inside, protocol);
  if (sameIp(inside, subnet.dns)) {
    if (protocol == IPPROTO_ICMP) return {Destination::Kind::host, loopback(inside), 0};
    if (inside.port() != kDnsPort) return none(ECONNREFUSED);
    return {Destination::Kind::dns, inside, 0};
  }
  if (within(inside, subnet.child, subnet.prefix)) return none(EHOSTUNREACH);
  return {Destination::Kind::host, inside, 0};
}

}  // namespace rn
