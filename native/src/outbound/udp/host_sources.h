// The host's sockets of flows, and the ports that they send from.
//
// Theory of operation. A NAT should send what comes from one address and port inside from one port outside, whoever it goes
// to (RFC 4787, REQ-1): a program may tell others the address that it was seen with, and receive their datagrams once it has
// sent to them. So the sockets of all flows of a client are bound to one port, and each is connected to its destination: the
// kernel gives each what comes from there, and drops what comes from others. Sockets share a port by SO_REUSEPORT, which the
// kernel permits to those of one user only. It is set once a socket has its port, so that the kernel chooses a free one for
// each client.
//
// Datagrams of others may arrive between bind(2) and connect(2): flows ignore what is not from their destination.
//
// A client that is published sends from where it is published (udp/published_sources.h).
#pragma once
#include <cstdint>
#include <unordered_map>

#include "outbound/four_tuple.h"
#include "system/sockets.h"
#include "udp/published_sources.h"

namespace rn {

class HostSources {
 public:
  struct Socket {
    Fd fd;
    // The errno where there is none.
    int error = 0;
    // What release() is given.
    uint16_t port = 0;
    bool isPublished = false;
  };

  explicit HostSources(PublishedSources& published) : published_(published) {}

  // A socket for a flow from `client` to the host's address `destination`; from where the client's port is published, if it is:
  // by the child, or a container.
  Socket connect(const Address& client, const Address& destination);
  // When the flow has ended.
  void release(const Address& client, const Socket& socket);

 private:
  // Kernels before 6.13 search all sockets of a port for each datagram.
  static constexpr uint32_t kMostOfPort = 256;

  struct Source {
    uint16_t port = 0;
    // Of the client, and those that send from this port.
    uint32_t flows = 0;
    uint32_t ofPort = 0;
  };

  static FourTuple keyOf(const Address& client) { return {client, Address()}; }

  PublishedSources& published_;
  std::unordered_map<FourTuple, Source, FourTuple::Hash> sources_;
};

}  // namespace rn
