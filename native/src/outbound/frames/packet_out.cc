#include "outbound/frames/packet_out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "loop/closer.h"
#include "outbound/frames/checksum.h"
#include "outbound/frames/ip_header.h"
#include "outbound/frames/offload.h"

namespace rn {

namespace {

// Of the loopback device; each network namespace has it as its first.
constexpr int kLoopback = 1;
// What any network transports (RFC 8200, 5), and what most do.
constexpr size_t kSafeMtu6 = 1280;
constexpr size_t kUsualMtu = 1500;
// The most of a packet that an error quotes (RFC 4443, 2.4 c; more than RFC 792 asks for, as RFC 1812, 4.3.2.3 does).
constexpr size_t kQuoted4 = 548;
constexpr size_t kQuoted6 = 1232;

template <typename Header>
Header headerAt(std::string_view bytes) {
  Header header{};
  memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof header));
  return header;
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

// What packet sockets are given with a frame: where it leaves.
sockaddr_ll via(int device, uint16_t etherType, const Mac& to) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = etherType;
  address.sll_ifindex = device;
  address.sll_halen = ETH_ALEN;
  memcpy(address.sll_addr, to.data(), to.size());
  return address;
}

// `parts`: Ethernet header, IP header, and what follows.
void sendFrame(int fd, sockaddr_ll to, Offload offload, std::array<std::string_view, 3> parts) {
  iovec iov[1 + parts.size()] = {{&offload, sizeof offload}};
  for (size_t i = 0; i < parts.size(); i++) iov[1 + i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof to;
  message.msg_iov = iov;
  message.msg_iovlen = 1 + parts.size();
  // What cannot be sent is lost, as on any network: its receiver tries again.
  while (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

bool isV4(std::string_view ip) { return (ip[0] & 0xf0) == 0x40; }

// RFC 791, 3.2.
constexpr size_t kLeastMtu4 = 68;

// Of the gateway's device; the socket is in its namespace (netdevice(7)).
size_t mtuOf(int fd, int device) {
  ifreq request{};
  request.ifr_ifindex = device;
  if (ioctl(fd, SIOCGIFNAME, &request) != 0 || ioctl(fd, SIOCGIFMTU, &request) != 0) return kUsualMtu;
  // Networks with IPv6 have kSafeMtu6 at least.
  return std::clamp<size_t>(size_t(request.ifr_mtu), kLeastMtu4, ip::kMaxLength);
}

}  // namespace

PacketOut::PacketOut(Options options)
    : options_(std::move(options)), mtu_(mtuOf(options_.socket.get(), options_.device)) {
  int size = sockets::kDatagramBuffer;
  setsockopt(options_.socket.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

void PacketOut::inject(const Packet& packet) {
  ether_header ethernet{};
  ethernet.ether_type = ip::etherType(packet.family() == AF_INET);
  size_t start = packet.ip.size() - packet.transport.size();
  std::string transport(packet.transport);
  // The packet may have come without its checksum, as it does from another program's socket on this machine.
  uint16_t partial =
      checksum::fold(checksum::pseudoHeader(packet.source, packet.destination, IPPROTO_TCP, transport.size()));
  memcpy(&transport[offsetof(tcphdr, check)], &partial, sizeof partial);
  Offload offload;
  offload.flags = Offload::kNeedsChecksum;
  offload.checksumStart = uint16_t(sizeof ethernet + start);
  offload.checksumOffset = offsetof(tcphdr, check);
  sendFrame(options_.socket.get(), via(kLoopback, ethernet.ether_type, Mac{}), offload,
            {bytesOf(ethernet), packet.ip.substr(0, start), transport});
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
  send(syn.destination, syn.source, IPPROTO_TCP, bytesOf(tcp));
}

void PacketOut::unreachable(std::string_view ip, int error, bool soft) {
  // What the receiver's kernel makes of a code: icmp_err_convert and icmpv6_err_convert in Linux.
  bool v4 = isV4(ip);
  switch (error) {
    case ENETUNREACH:
    case ENETDOWN:
      return v4 ? icmp4(ip, soft ? ICMP_NET_UNREACH : ICMP_NET_UNKNOWN)
                : icmp6(ip, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE);
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return v4 ? icmp4(ip, soft ? ICMP_HOST_UNREACH : ICMP_HOST_ANO)
                : icmp6(ip, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR);
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
  iphdr quoted = headerAt<iphdr>(ip);
  Address sender;
  sender.v4 = {AF_INET, 0, {quoted.saddr}, {}};
  Address reporter = options_.own4;
  if (code == ICMP_PORT_UNREACH) reporter.v4.sin_addr.s_addr = quoted.daddr;
  icmphdr header{};
  header.type = ICMP_DEST_UNREACH;
  header.code = code;
  std::string message = icmpMessage(header, ip.substr(0, kQuoted4));
  send(reporter, sender, IPPROTO_ICMP, message);
}

void PacketOut::icmp6(std::string_view ip, unsigned char type, unsigned char code) {
  if (ip.size() < sizeof(ip6_hdr) || options_.own6.family() != AF_INET6) return;
  ip6_hdr quoted = headerAt<ip6_hdr>(ip);
  Address sender;
  sender.v6 = {AF_INET6, 0, 0, quoted.ip6_src, 0};
  Address reporter = options_.own6;
  if (type == ICMP6_DST_UNREACH && code == ICMP6_DST_UNREACH_NOPORT) reporter.v6.sin6_addr = quoted.ip6_dst;
  icmp6_hdr header{};
  header.icmp6_type = type;
  header.icmp6_code = code;
  std::string message = icmpMessage(header, ip.substr(0, kQuoted6), reporter, sender);
  send(reporter, sender, IPPROTO_ICMPV6, message);
}

void PacketOut::echoReply(const EchoReply& reply, std::string_view payload) {
  if (reply.from.family() == AF_INET) {
    icmphdr header{};
    header.type = ICMP_ECHOREPLY;
    header.un.echo.id = htons(reply.id);
    header.un.echo.sequence = htons(reply.sequence);
    send(reply.from, reply.to, IPPROTO_ICMP, icmpMessage(header, payload));
    return;
  }
  icmp6_hdr header{};
  header.icmp6_type = ICMP6_ECHO_REPLY;
  header.icmp6_id = htons(reply.id);
  header.icmp6_seq = htons(reply.sequence);
  send(reply.from, reply.to, IPPROTO_ICMPV6, icmpMessage(header, payload, reply.from, reply.to));
}

void PacketOut::send(const Address& from, const Address& to, uint8_t protocol, std::string_view message) {
  bool v4 = from.family() == AF_INET;
  if (message.size() > ip::kMaxLength - (v4 ? ip::headerSize(v4) : 0)) return;
  std::string ethernet = ethernetToChild(v4);
  sockaddr_ll target = via(options_.device, ip::etherType(v4), options_.child);
  char header[ip::kMaxHeader];
  ip::Fields fields{from, to, protocol, message.size(), nextId()};
  if (message.size() <= mostInPacket(v4)) {
    size_t size = ip::writeHeader(header, fields, nullptr);
    sendFrame(options_.socket.get(), target, {}, {ethernet, {header, size}, message});
    return;
  }
  size_t room = v4 ? mtu_ - ip::headerSize(v4) : kSafeMtu6 - ip::kMaxHeader;
  room -= room % ip::kFragmentUnit;
  for (size_t at = 0; at < message.size(); at += room) {
    std::string_view bytes = message.substr(at, room);
    fields.length = bytes.size();
    ip::Part part{at, at + bytes.size() == message.size()};
    size_t size = ip::writeHeader(header, fields, &part);
    sendFrame(options_.socket.get(), target, {}, {ethernet, {header, size}, bytes});
  }
}

size_t PacketOut::mostInPacket(bool v4) const { return (v4 ? mtu_ : std::min(mtu_, kUsualMtu)) - ip::headerSize(v4); }

std::string PacketOut::ethernetToChild(bool v4) const {
  ether_header ethernet{};
  memcpy(ethernet.ether_dhost, options_.child.data(), options_.child.size());
  memcpy(ethernet.ether_shost, options_.gateway.data(), options_.gateway.size());
  ethernet.ether_type = ip::etherType(v4);
  return std::string(bytesOf(ethernet));
}

void PacketOut::close() { closer::leaveToKernel(std::move(options_.socket)); }

}  // namespace rn
