// Sends packets into the gateway namespace: to the child, from any address, and to the gateway itself.
//
// Frames leave by a packet socket (packet(7)) with a virtio_net_hdr in front (PACKET_VNET_HDR), so that the kernel completes
// TCP and UDP checksums where anybody looks at them.
#pragma once
#include <array>
#include <cstdint>
#include <string_view>

#include "outbound/frames/packet.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

using Mac = std::array<unsigned char, 6>;

class PacketOut {
 public:
  struct Options {
    // The packet socket; what it sends has the mark that the gateway's rules look for.
    Fd socket;
    // Index of the gateway's device.
    int device = 0;
    Mac child{}, gateway{};
    // The gateway's own addresses, from which errors come; family 0 for none.
    Address own4, own6;
  };

  explicit PacketOut(Options options) : options_(std::move(options)) {}

  // To the gateway, as if it had come from the child a second time.
  void inject(const Packet& packet);
  // To the child, from here on.
  // In reply to a SYN: the connection is refused (RFC 9293, 3.10.7.1).
  void reset(const Packet& syn);
  // In reply to a packet: why it did not arrive, as the errno that its sender is to see (icmp(7), RFC 792, RFC 4443). An errno
  // that no message leads to is ignored.
  void unreachable(std::string_view ip, int error);
  // In reply to an echo request: the same with that payload.
  void echoReply(const Packet& request, std::string_view payload);
  // From here on nothing is sent.
  void close();

 private:
  void icmp4(std::string_view ip, unsigned char code);
  void icmp6(std::string_view ip, unsigned char type, unsigned char code);
  // `ip` is a packet whose checksums are complete.
  void sendToChild(std::string_view ip);

  Options options_;
};

}  // namespace rn
