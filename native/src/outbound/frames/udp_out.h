// Sends datagrams to the child from any address, several at a time.
//
// Each leaves as a frame whose checksum the kernel completes where anybody looks at it; several of one size as one frame that
// stays whole until it reaches its receiver (UDP segmentation offload: virtio_net_hdr since Linux 6.2; before, or where it
// does not fit, each has a frame of its own). Too large ones leave as PacketOut::send() does it.
#pragma once
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <cstdint>
#include <string_view>

#include "outbound/frames/ip_header.h"
#include "outbound/frames/offload.h"
#include "outbound/frames/packet_out.h"

namespace rn {

// The IP packet of a datagram as far as an error has to quote it (PacketOut::unreachable).
std::string quotedDatagram(const Address& from, const Address& to, size_t length);

class UdpOut {
 public:
  struct Ends {
    const Address& from;
    const Address& to;
  };

  explicit UdpOut(PacketOut& out);
  UdpOut(const UdpOut&) = delete;
  UdpOut& operator=(const UdpOut&) = delete;

  // Adds what `parts` have: one datagram where `segment` is 0, else datagrams of that size, the last of them perhaps smaller,
  // each within one part. The bytes are read by flush(), which may happen at once.
  void add(const Ends& ends, const iovec* parts, size_t n, size_t segment);
  // Sends what was added. What the kernel has no room for is lost, as usual with UDP.
  void flush();

 private:
  static constexpr size_t kFrames = 64;
  static constexpr size_t kParts = 64;
  static constexpr size_t kEthernet = 14;
  static constexpr size_t kUdp = 8;

  struct Header {
    Offload offload;
    char bytes[kEthernet + ip::kMaxHeader + kUdp];
  };

  bool hasSegmentation() const;
  void addFrame(const Ends& ends, const iovec* parts, size_t n, size_t segment);
  void sendLarge(const Ends& ends, std::string_view datagram);

  PacketOut& out_;
  bool segments_;
  Header headers_[kFrames];
  mmsghdr messages_[kFrames] = {};
  // Of each frame: its header, and its parts.
  iovec parts_[kFrames + kParts];
  sockaddr_ll targets_[kFrames];
  size_t frames_ = 0;
  size_t usedParts_ = 0;
};

}  // namespace rn
