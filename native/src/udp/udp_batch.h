// Reads and writes datagrams in batches; one object for all flows of a thread.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <cstdint>
#include <memory>

#include "system/sockets.h"

namespace rn {

class UdpBatch {
 public:
  static constexpr int kMax = 64;
  static constexpr size_t kDatagram = 65536;
  static constexpr int kNone = -1;

  struct Message {
    const char* data = nullptr;
    size_t length = 0;
    // Size of each datagram in `data` where several came coalesced (UDP_GRO), else 0.
    uint16_t segment = 0;
    Address from;
    // The local address that it was sent to, IPv4 as v4-mapped; with a port where the socket reports the original one
    // (ip(7), IP_RECVORIGDSTADDR; or SO_RCVMARK with the gateway's rules, gateway/gateway.h), else 0.
    in6_addr to{};
    uint16_t toPort = 0;
    // Index of the next message of the same flow, or kNone. receive() makes one chain of all.
    int next = 0;

    uint64_t datagrams() const { return segment == 0 ? 1 : (length + segment - 1) / segment; }
  };

  UdpBatch();

  // Returns the number of messages read, or -1 with an errno: EAGAIN where there are none now.
  int receive(int fd);
  const Message& operator[](int i) const { return messages_[i]; }

  // Makes `message` the next one after `previous`, or the first of a chain where that is kNone, and the last in any case.
  void chain(int previous, int message) {
    if (previous != kNone) messages_[previous].next = message;
    messages_[message].next = kNone;
  }

  // Leaves the last datagrams of a message out.
  void shorten(int message, size_t length) { messages_[message].length = length; }

  // Whether to read again at once, having read `n` messages. Several at a time are a stream; its sender and its receiver
  // may be waiting for this processor. They go first (sched_yield(2)): the receiver takes what it has, so that less is lost
  // there (its buffer has room for some hundred datagrams), and there is more to read then: a datagram of a large batch costs
  // half as much. Beside programs that only compute, a yield may last for milliseconds. So there is none again for as long as
  // the last one took: this thread keeps half of the processor.
  bool worthAnother(int n);

  struct Tally {
    uint64_t bytes = 0;
    uint64_t datagrams = 0;
  };
  // Of n messages of the chain from `start` on.
  Tally tally(int start, int n) const {
    Tally sum;
    for (int i = start, k = 0; k < n; i = messages_[i].next, k++) {
      sum.bytes += messages_[i].length;
      sum.datagrams += messages_[i].datagrams();
    }
    return sum;
  }

  // How many messages of the chain from `start` on can leave as one: all of one size, except the last.
  int run(int start) const;

  // Sends that many messages of the chain from `start` on, to `to` (null: the socket is connected) and from `source` (null:
  // the kernel's choice). What does not fit the socket's buffer is lost, as usual with UDP. Returns 0 or an errno.
  int send(int fd, int start, int n, const Address* to, const in6_addr* source);
  // Like send(), for one message that is stored elsewhere.
  static int sendOne(int fd, const char* data, size_t length, uint16_t segment, const Address* to,
                     const in6_addr* source);

 private:
  // Kernels before 6.x accept 64 (UDP_MAX_SEGMENTS); the sum has to fit an IP packet.
  static constexpr int kMaxSegments = 64;
  static constexpr size_t kMaxSegmented = 65000;

  // Of an address and of a segment size.
  static constexpr size_t kControl = 128;

  static void readControl(msghdr* header, Message* message);
  static int sendVector(int fd, iovec* iov, int n, uint16_t segment, const Address* to, const in6_addr* source);

  std::unique_ptr<char[]> buffer_{new char[kMax * kDatagram]};
  Message messages_[kMax];
  // What recvmmsg(2) fills; only those that it has filled are set up again.
  mmsghdr headers_[kMax] = {};
  iovec iov_[kMax];
  alignas(cmsghdr) char control_[kMax][kControl];
  int used_ = kMax;
  // In nanoseconds.
  uint64_t yieldEnded_ = 0;
  uint64_t yieldLasted_ = 0;
};

// The batch that all flows of this thread share.
UdpBatch& sharedBatch();

}  // namespace rn
