// What the kernel is to complete in a frame that a packet socket sends: struct virtio_net_hdr of linux/virtio_net.h, which
// C++ cannot include (VIRTIO 1.2, 5.1.6).
#pragma once
#include <cstdint>

namespace rn {

struct Offload {
  static constexpr uint8_t kNeedsChecksum = 1;
  // A UDP packet that leaves as several datagrams (Linux 6.2).
  static constexpr uint8_t kUdpSegments = 5;

  uint8_t flags = 0;
  uint8_t segmentation = 0;
  // In host byte order, as packet sockets have them. Offsets count from the start of the frame.
  uint16_t headerLength = 0;
  uint16_t segmentSize = 0;
  uint16_t checksumStart = 0;
  uint16_t checksumOffset = 0;
};
static_assert(sizeof(Offload) == 10);

}  // namespace rn
