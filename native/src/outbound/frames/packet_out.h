// Sends packets into the gateway namespace: to the child, from any address, and to the gateway itself.
//
// Frames leave by a packet socket (packet(7)) with a virtio_net_hdr in front (PACKET_VNET_HDR), so that the kernel completes
// TCP and UDP checksums where anybody looks at them.
//
// A message that does not fit the device leaves in fragments. Packets may go on to networks inside whose MTU is smaller: those
// of IPv4 are fragmented there; of IPv6 nobody may do that on the way (RFC 8200, 5), and nobody here receives the error, so
// one that is larger than usual networks transport leaves in fragments that any network does.
#pragma once
#include <array>
#include <cstdint>
#include <string>
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
  struct EchoReply {
    Address from, to;
    uint16_t id;
    uint16_t sequence;
  };

  explicit PacketOut(Options options);

  // To the gateway, as if it had come from the child a second time.
  void inject(const Packet& packet);
  // To the child, from here on.
  // In reply to a SYN: the connection is refused (RFC 9293, 3.10.7.1).
  void reset(const Packet& syn);
  // In reply to a packet: why it did not arrive, as the errno that its sender is to see (icmp(7), RFC 792, RFC 4443). An errno
  // that no message leads to is ignored. It comes from the gateway, and that a port is closed from the host that has it. `soft`: datagram sockets are not to see it. Of the packet it is enough to have
  // the first 8 bytes after its IP header.
  void unreachable(std::string_view ip, int error, bool soft = false);
  void echoReply(const EchoReply& reply, std::string_view payload);
  // A message of that protocol with its checksum. What is too large for a packet is dropped.
  void send(const Address& from, const Address& to, uint8_t protocol, std::string_view message);

  // For frames that are made elsewhere.
  const Options& options() const { return options_; }
  // The most that follows the IP header in a packet that is not fragmented.
  size_t mostInPacket(bool v4) const;
  // Of as many packets as that.
  uint32_t nextId(uint32_t count = 1) {
    nextId_ += count;
    return nextId_ - count;
  }
  // The Ethernet header of what goes to the child.
  std::string ethernetToChild(bool v4) const;
  // From here on nothing is sent.
  void close();

 private:
  void icmp4(std::string_view ip, unsigned char code);
  void icmp6(std::string_view ip, unsigned char type, unsigned char code);

  Options options_;
  size_t mtu_;
  uint32_t nextId_ = 1;
};

}  // namespace rn
