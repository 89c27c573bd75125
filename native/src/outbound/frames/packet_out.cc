#include "outbound/frames/packet_out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <algorithm>
#include <cstddef>
#include <string>

#include "loop/closer.h"
#include "outbound/frames/checksum.h"
#include "outbound/frames/offload.h"

namespace rn {

namespace {

// Of the loopback device; each network namespace has it as its first.
constexpr int kLoopback = 1;
constexpr unsigned char kHops = 64;
// The most of a packet that an error quotes (RFC 4443, 2.4 c; more than RFC 792 asks for, as RFC 1812, 4.3.2.3 does).
constexpr size_t kQuoted4 = 548;
constexpr size_t kQuoted6 = 1232;

template <typename Header>
std::string_view bytesOf(const Header& header) {
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

template <typename Header>
Header headerAt(std::string_view bytes) {
  Header header{};
  memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof header));
  return header;
}

std::string ipHeader(const Address& source, const Address& destination, uint8_t protocol, size_t length) {
  if (source.family() == AF_INET) {
    iphdr ip{};
    ip.version = 4;
    ip.ihl = sizeof ip / 4;
    ip.tot_len = htons(uint16_t(sizeof ip + length));
    ip.ttl = kHops;
    ip.protocol = protocol;
    ip.saddr = source.v4.sin_addr.s_addr;
    ip.daddr = destination.v4.sin_addr.s_addr;
    ip.check = checksum::finish(checksum::add(0, bytesOf(ip)));
    return std::string(bytesOf(ip));
  }
  ip6_hdr ip{};
  ip.ip6_vfc = 6 << 4;
  ip.ip6_plen = htons(uint16_t(length));
  ip.ip6_nxt = protocol;
  ip.ip6_hlim = kHops;
  ip.ip6_src = source.v6.sin6_addr;
  ip.ip6_dst = destination.v6.sin6_addr;
  return std::string(bytesOf(ip));
}

// An ICMP message with its checksum.
std::string icmpMessage(icmphdr header, std::string_view payload) {
  header.checksum = 0;
  header.checksum = checksum::finish(checksum::add(checksum::add(0, bytesOf(header)), payload));
  return std::string(bytesOf(header)).append(payload);
}

std::string icmpMessage(icmp6_hdr header, std::string_view payload, const Address& source, const Address& destination) {
  header.icmp6_cksum = 0;
  uint64_t sum = checksum::pseudoHeader(source, destination, IPPROTO_ICMPV6, sizeof header + payload.size());
  header.icmp6_cksum = checksum::finish(checksum::add(checksum::add(sum, bytesOf(header)), payload));
  return std::string(bytesOf(header)).append(payload);
}

void sendFrame(int fd, int device, const Offload& offload, const ether_header& ethernet, std::string_view ip) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = ethernet.ether_type;
  to.sll_ifindex = device;
  to.sll_halen = ETH_ALEN;
  memcpy(to.sll_addr, ethernet.ether_dhost, ETH_ALEN);
  iovec iov[] = {{const_cast<Offload*>(&offload), sizeof offload},
                 {const_cast<ether_header*>(&ethernet), sizeof ethernet},
                 {const_cast<char*>(ip.data()), ip.size()}};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = iov;
  message.msg_iovlen = 3;
  // What cannot be sent is lost, as on any network: its receiver tries again.
  while (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

uint16_t etherType(std::string_view ip) { return htons((ip[0] & 0xf0) == 0x40 ? ETHERTYPE_IP : ETHERTYPE_IPV6); }

}  // namespace

void PacketOut::inject(const Packet& packet) {
  ether_header ethernet{};
  ethernet.ether_type = etherType(packet.ip);
  size_t start = packet.ip.size() - packet.transport.size();
  std::string ip(packet.ip);
  // The packet may have come without its checksum, as it does from another program's socket on this machine.
  uint16_t partial =
      checksum::fold(checksum::pseudoHeader(packet.source, packet.destination, IPPROTO_TCP, packet.transport.size()));
  memcpy(&ip[start + offsetof(tcphdr, check)], &partial, sizeof partial);
  Offload offload;
  offload.flags = Offload::kNeedsChecksum;
  offload.checksumStart = uint16_t(sizeof ethernet + start);
  offload.checksumOffset = offsetof(tcphdr, check);
  sendFrame(options_.socket.get(), kLoopback, offload, ethernet, ip);
}

void PacketOut::reset(const Packet& syn) {
  tcphdr tcp{};
  tcp.source = htons(syn.destination.port());
  tcp.dest = htons(syn.source.port());
  tcp.ack_seq = htonl(syn.at32(offsetof(tcphdr, seq)) + 1);
  tcp.doff = sizeof tcp / 4;
  tcp.rst = tcp.ack = 1;
  uint64_t sum = checksum::pseudoHeader(syn.destination, syn.source, IPPROTO_TCP, sizeof tcp);
  tcp.check = checksum::finish(checksum::add(sum, bytesOf(tcp)));
  sendToChild(ipHeader(syn.destination, syn.source, IPPROTO_TCP, sizeof tcp).append(bytesOf(tcp)));
}

void PacketOut::unreachable(std::string_view ip, int error) {
  // What the receiver's kernel makes of a code: icmp_err_convert and icmpv6_err_convert in Linux.
  bool v4 = etherType(ip) == htons(ETHERTYPE_IP);
  switch (error) {
    case ENETUNREACH: return v4 ? icmp4(ip, ICMP_NET_UNREACH) : icmp6(ip, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE);
    case EHOSTUNREACH:
    case EHOSTDOWN: return v4 ? icmp4(ip, ICMP_HOST_UNREACH) : icmp6(ip, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR);
    case EACCES:
    case EPERM: return v4 ? icmp4(ip, ICMP_PKT_FILTERED) : icmp6(ip, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADMIN);
    case ECONNREFUSED:
      return v4 ? icmp4(ip, ICMP_PORT_UNREACH) : icmp6(ip, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT);
    case ENOPROTOOPT:
      if (v4) icmp4(ip, ICMP_PROT_UNREACH);
      return;
    case EPROTO:
      if (!v4) icmp6(ip, ICMP6_PARAM_PROB, ICMP6_PARAMPROB_NEXTHEADER);
      return;
    default: return;
  }
}

void PacketOut::icmp4(std::string_view ip, unsigned char code) {
  if (ip.size() < sizeof(iphdr) || options_.own4.family() != AF_INET) return;
  Address sender;
  sender.v4 = {AF_INET, 0, {headerAt<iphdr>(ip).saddr}, {}};
  icmphdr header{};
  header.type = ICMP_DEST_UNREACH;
  header.code = code;
  std::string message = icmpMessage(header, ip.substr(0, kQuoted4));
  sendToChild(ipHeader(options_.own4, sender, IPPROTO_ICMP, message.size()).append(message));
}

void PacketOut::icmp6(std::string_view ip, unsigned char type, unsigned char code) {
  if (ip.size() < sizeof(ip6_hdr) || options_.own6.family() != AF_INET6) return;
  Address sender;
  sender.v6 = {AF_INET6, 0, 0, headerAt<ip6_hdr>(ip).ip6_src, 0};
  icmp6_hdr header{};
  header.icmp6_type = type;
  header.icmp6_code = code;
  std::string message = icmpMessage(header, ip.substr(0, kQuoted6), options_.own6, sender);
  sendToChild(ipHeader(options_.own6, sender, IPPROTO_ICMPV6, message.size()).append(message));
}

void PacketOut::echoReply(const Packet& request, std::string_view payload) {
  std::string message;
  if (request.family() == AF_INET) {
    auto header = headerAt<icmphdr>(request.transport);
    header.type = ICMP_ECHOREPLY;
    message = icmpMessage(header, payload);
  } else {
    auto header = headerAt<icmp6_hdr>(request.transport);
    header.icmp6_type = ICMP6_ECHO_REPLY;
    message = icmpMessage(header, payload, request.destination, request.source);
  }
  sendToChild(ipHeader(request.destination, request.source, request.protocol, message.size()).append(message));
}

void PacketOut::sendToChild(std::string_view ip) {
  ether_header ethernet{};
  memcpy(ethernet.ether_dhost, options_.child.data(), options_.child.size());
  memcpy(ethernet.ether_shost, options_.gateway.data(), options_.gateway.size());
  ethernet.ether_type = etherType(ip);
  sendFrame(options_.socket.get(), options_.device, Offload{}, ethernet, ip);
}

void PacketOut::close() { closer::close(std::move(options_.socket)); }

}  // namespace rn
