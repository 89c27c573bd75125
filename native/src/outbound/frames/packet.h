// An IP packet in a frame that came from the namespace.
#pragma once
#include <cstdint>
#include <string_view>

#include "system/sockets.h"

namespace rn {

// Views into the frame; valid as long as it is.
struct Packet {
  // IPPROTO_TCP, …
  uint8_t protocol = 0;
  // With ports where the protocol is TCP.
  Address source, destination;
  // From the IP header to the end of the IP packet.
  std::string_view ip;
  // From the TCP or ICMP header on.
  std::string_view transport;

  sa_family_t family() const { return source.family(); }
  // Whether it is a TCP packet that begins a connection.
  bool isSyn() const;
  // A number in network byte order; there are enough bytes for the header of the protocol.
  uint16_t at16(size_t offset) const;
  uint32_t at32(size_t offset) const;
};

// Parses an Ethernet frame with an unfragmented TCP, ICMP or ICMPv6 packet, IPv6 without extension headers. Returns false for
// any other, and for one with invalid lengths.
bool parseFrame(std::string_view frame, Packet* packet);

}  // namespace rn
