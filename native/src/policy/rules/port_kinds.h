// What ports are to names: where clients send one first, and where names are hidden.
#pragma once
#include <algorithm>
#include <cstdint>
#include <iterator>

#include "policy/peek/first_bytes.h"
#include "policy/rules/policy_model.h"

namespace rn::ports {

// Ports at which clients of TLS and HTTP send a name first: nothing else is allowed there by a name.
constexpr uint16_t kStrict[] = {80, 443};
// Ports at which the servers that many names share listen, too. Other protocols are allowed there.
constexpr uint16_t kLenient[] = {2052, 2053, 2082, 2083, 2086, 2087, 2095, 2096, 8080, 8443, 8880};

template <size_t count>
bool isOneOf(const uint16_t (&ports)[count], uint16_t port) {
  return std::find(std::begin(ports), std::end(ports), port) != std::end(ports);
}

// Whether the first bytes are looked at.
inline bool isPeeked(Protocol protocol, uint16_t port) {
  return protocol == Protocol::tcp && (isOneOf(kStrict, port) || isOneOf(kLenient, port));
}

// Whether these first bytes have to show a name of the address.
inline bool needsName(const Peeked& peeked, uint16_t port) {
  return peeked.kind != Peeked::Kind::other || peeked.begun || isOneOf(kStrict, port);
}

// QUIC hides the name in its first packets; other name servers resolve what ours refuses, in the clear or by TLS and QUIC.
inline bool hidesNames(Protocol protocol, uint16_t port) {
  if (protocol == Protocol::icmp) return false;
  return port == 53 || port == 853 || (protocol == Protocol::udp && port == 443);
}

}  // namespace rn::ports
