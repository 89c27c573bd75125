#include "outbound/frames/udp_out.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/udp.h>
#include <string.h>
#include <algorithm>
#include <cstddef>
#include <string>

#include "outbound/frames/checksum.h"

namespace rn {

namespace {

// Of the loopback device; each network namespace has it as its first.
constexpr int kLoopback = 1;

size_t sizeOf(const iovec* parts, size_t n) {
  size_t size = 0;
  for (size_t i = 0; i < n; i++) size += parts[i].iov_len;
  return size;
}

udphdr udpHeader(const Address& from, const Address& to, size_t length) {
  udphdr udp{};
  udp.source = htons(from.port());
  udp.dest = htons(to.port());
  udp.len = htons(uint16_t(sizeof udp + length));
  return udp;
}

sockaddr_ll via(int device, uint16_t etherType) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = etherType;
  address.sll_ifindex = device;
  address.sll_halen = ETH_ALEN;
  return address;
}

}  // namespace

std::string quotedDatagram(const Address& from, const Address& to, size_t length) {
  char header[ip::kMaxHeader];
  udphdr udp = udpHeader(from, to, length);
  size_t size = ip::writeHeader(header, {from, to, IPPROTO_UDP, sizeof udp + length, 0}, nullptr);
  return std::string(header, size).append(bytesOf(udp));
}

UdpOut::UdpOut(PacketOut& out) : out_(out), segments_(hasSegmentation()) {}

// A packet without any version, which the gateway drops, shows whether the kernel knows the offload.
bool UdpOut::hasSegmentation() const {
  constexpr size_t kIp = ip::headerSize(true);
  char frame[sizeof(Offload) + kEthernet + kIp + kUdp + 2] = {};
  uint16_t type = ip::etherType(true);
  Offload offload;
  offload.flags = Offload::kNeedsChecksum;
  offload.segmentation = Offload::kUdpSegments;
  offload.headerLength = kEthernet + kIp + kUdp;
  offload.segmentSize = 1;
  offload.checksumStart = kEthernet + kIp;
  offload.checksumOffset = offsetof(udphdr, check);
  memcpy(frame, &offload, sizeof offload);
  memcpy(frame + sizeof offload + offsetof(ether_header, ether_type), &type, sizeof type);
  sockaddr_ll to = via(kLoopback, type);
  return sendto(out_.options().socket.get(), frame, sizeof frame, MSG_DONTWAIT | MSG_NOSIGNAL,
                reinterpret_cast<sockaddr*>(&to), sizeof to) >= 0 ||
         errno != EINVAL;
}

void UdpOut::add(const Ends& ends, const iovec* parts, size_t n, size_t segment) {
  bool v4 = ends.from.family() == AF_INET;
  size_t total = sizeOf(parts, n), most = out_.mostInPacket(v4) - kUdp;
  if (segment == 0 || total <= segment) {
    if (total <= most) addFrame(ends, parts, n, 0);
    else sendLarge(ends, {static_cast<char*>(parts->iov_base), total});
    return;
  }
  if (segments_ && segment <= most && total + kUdp + ip::headerSize(v4) <= ip::kMaxLength) {
    addFrame(ends, parts, n, segment);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    for (size_t at = 0; at < parts[i].iov_len; at += segment) {
      iovec one{static_cast<char*>(parts[i].iov_base) + at, std::min(segment, parts[i].iov_len - at)};
      add(ends, &one, 1, 0);
    }
  }
}

void UdpOut::addFrame(const Ends& ends, const iovec* parts, size_t n, size_t segment) {
  if (frames_ == kFrames || usedParts_ + 1 + n > sizeof parts_ / sizeof *parts_) flush();
  bool v4 = ends.from.family() == AF_INET;
  size_t length = kUdp + sizeOf(parts, n);
  Header& header = headers_[frames_];
  memcpy(header.bytes, out_.ethernetToChild(v4).data(), kEthernet);
  uint32_t id = out_.nextId(segment == 0 ? 1 : uint32_t((length - kUdp + segment - 1) / segment));
  size_t at =
      kEthernet + ip::writeHeader(header.bytes + kEthernet, {ends.from, ends.to, IPPROTO_UDP, length, id}, nullptr);
  udphdr udp = udpHeader(ends.from, ends.to, length - kUdp);
  udp.check = checksum::fold(checksum::pseudoHeader(ends.from, ends.to, IPPROTO_UDP, length));
  memcpy(header.bytes + at, &udp, sizeof udp);
  header.offload = {};
  header.offload.flags = Offload::kNeedsChecksum;
  header.offload.headerLength = uint16_t(at + sizeof udp);
  header.offload.checksumStart = uint16_t(at);
  header.offload.checksumOffset = offsetof(udphdr, check);
  if (segment != 0) {
    header.offload.segmentation = Offload::kUdpSegments;
    header.offload.segmentSize = uint16_t(segment);
  }
  static_assert(offsetof(Header, bytes) == sizeof(Offload));
  iovec* first = parts_ + usedParts_;
  first[0] = {&header, sizeof header.offload + at + sizeof udp};
  std::copy(parts, parts + n, first + 1);
  msghdr& message = messages_[frames_].msg_hdr;
  message.msg_iov = first;
  message.msg_iovlen = 1 + n;
  targets_[frames_] = via(out_.options().device, ip::etherType(v4));
  message.msg_name = &targets_[frames_];
  message.msg_namelen = sizeof targets_[frames_];
  usedParts_ += 1 + n;
  frames_++;
}

void UdpOut::flush() {
  for (size_t done = 0; done < frames_;) {
    int n =
        sendmmsg(out_.options().socket.get(), messages_ + done, unsigned(frames_ - done), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) done += size_t(n);
    else if (errno == EAGAIN || errno == ENOBUFS) break;
    else if (errno != EINTR) done++;
  }
  frames_ = usedParts_ = 0;
}

void UdpOut::sendLarge(const Ends& ends, std::string_view datagram) {
  flush();
  // More than a datagram can have.
  if (datagram.size() + kUdp > ip::kMaxLength) return;
  udphdr udp = udpHeader(ends.from, ends.to, datagram.size());
  uint64_t sum = checksum::pseudoHeader(ends.from, ends.to, IPPROTO_UDP, kUdp + datagram.size());
  sum = checksum::add(checksum::add(sum, bytesOf(udp)), datagram);
  udp.check = checksum::finish(sum);
  // 0 means that there is none (RFC 768).
  if (udp.check == 0) udp.check = 0xffff;
  out_.send(ends.from, ends.to, IPPROTO_UDP, std::string(bytesOf(udp)).append(datagram));
}

}  // namespace rn
