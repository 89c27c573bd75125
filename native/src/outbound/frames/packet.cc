#include "outbound/frames/packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <cstddef>

namespace rn {

namespace {

template <typename Header>
bool read(std::string_view bytes, Header* header) {
  if (bytes.size() < sizeof *header) return false;
  memcpy(header, bytes.data(), sizeof *header);
  return true;
}

bool parseV4(std::string_view ip, Packet* packet) {
  iphdr header;
  if (!read(ip, &header) || header.version != 4) return false;
  size_t headerLength = size_t(header.ihl) * 4, length = ntohs(header.tot_len);
  if (headerLength < sizeof header || length < headerLength || length > ip.size()) return false;
  if ((ntohs(header.frag_off) & (IP_MF | IP_OFFMASK)) != 0) return false;
  packet->protocol = header.protocol;
  packet->source.v4 = {AF_INET, 0, {header.saddr}, {}};
  packet->destination.v4 = {AF_INET, 0, {header.daddr}, {}};
  packet->source.length = packet->destination.length = sizeof(sockaddr_in);
  packet->ip = ip.substr(0, length);
  packet->transport = packet->ip.substr(headerLength);
  return header.protocol != IPPROTO_ICMPV6;
}

bool parseV6(std::string_view ip, Packet* packet) {
  ip6_hdr header;
  if (!read(ip, &header) || (header.ip6_vfc >> 4) != 6) return false;
  size_t length = sizeof header + ntohs(header.ip6_plen);
  if (length > ip.size()) return false;
  // Addresses of the other family, which tables of both have as v4-mapped ones (four_tuple.h). No network carries them.
  if (IN6_IS_ADDR_V4MAPPED(&header.ip6_src) || IN6_IS_ADDR_V4MAPPED(&header.ip6_dst)) return false;
  packet->protocol = header.ip6_nxt;
  packet->source.v6 = {AF_INET6, 0, 0, header.ip6_src, 0};
  packet->destination.v6 = {AF_INET6, 0, 0, header.ip6_dst, 0};
  packet->source.length = packet->destination.length = sizeof(sockaddr_in6);
  packet->ip = ip.substr(0, length);
  packet->transport = packet->ip.substr(sizeof header);
  return header.ip6_nxt != IPPROTO_ICMP;
}

}  // namespace

uint16_t Packet::at16(size_t offset) const {
  uint16_t value;
  memcpy(&value, transport.data() + offset, sizeof value);
  return ntohs(value);
}

bool Packet::isSyn() const {
  tcphdr header;
  if (protocol != IPPROTO_TCP || !read(transport, &header)) return false;
  return header.syn && !header.ack && !header.rst && !header.fin;
}

uint32_t Packet::at32(size_t offset) const {
  uint32_t value;
  memcpy(&value, transport.data() + offset, sizeof value);
  return ntohl(value);
}

bool parseFrame(std::string_view frame, Packet* packet) {
  ether_header ethernet;
  if (!read(frame, &ethernet)) return false;
  std::string_view ip = frame.substr(sizeof ethernet);
  uint16_t type = ntohs(ethernet.ether_type);
  bool parsed = (type == ETHERTYPE_IP && parseV4(ip, packet)) || (type == ETHERTYPE_IPV6 && parseV6(ip, packet));
  if (!parsed) return false;
  switch (packet->protocol) {
    case IPPROTO_TCP:
      if (packet->transport.size() < sizeof(tcphdr)) return false;
      packet->source.setPort(packet->at16(offsetof(tcphdr, source)));
      packet->destination.setPort(packet->at16(offsetof(tcphdr, dest)));
      return true;
    case IPPROTO_ICMP: return packet->transport.size() >= sizeof(icmphdr);
    case IPPROTO_ICMPV6: return packet->transport.size() >= sizeof(icmp6_hdr);
    default: return false;
  }
}

}  // namespace rn
