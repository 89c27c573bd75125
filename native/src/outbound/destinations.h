// Where an address that a program inside connects to leads on the host.
#pragma once
#include <cstdint>
#include <vector>

#include "system/sockets.h"

namespace rn {

struct Destination {
  enum class Kind {
    host,  // this address, from the host's network namespace
    dns,   // the DNS forwarder
    none,  // nowhere; `error` is the errno that the program is to see, 0 where it is to see none
  };
  Kind kind = Kind::none;
  Address address;
  int error = 0;
  // Whether the client has to show first which name it wants (egress.h).
  bool needsPeek = false;
  // Led there on purpose (HostPort): no policy is asked.
  bool granted = false;
};

class Destinations {
 public:
  // Of one family.
  struct Subnet {
    // The child's address; family 0 where there is no network of that family.
    Address child;
    uint8_t prefix = 0;
    // The gateway, which stands for the host, and the DNS server.
    Address gateway, dns;
  };
  // A port of the gateway's addresses that leads to the host.
  struct HostPort {
    // IPPROTO_TCP or IPPROTO_UDP.
    uint8_t protocol = 0;
    uint16_t port = 0;
    Address address;
  };
  struct Options {
    Subnet v4, v6;
    std::vector<HostPort> hostPorts;
    // Whether the gateway's address leads to the host's loopback.
    bool hostLoopback = false;
  };

  explicit Destinations(Options options) : options_(std::move(options)) {}

  // `protocol` is IPPROTO_TCP, IPPROTO_UDP, or IPPROTO_ICMP for an echo request of either family. The packet may have any
  // address: programs inside can forge those that the kernel would never route, such as the host's loopback.
  Destination find(const Address& inside, uint8_t protocol) const;

 private:
  Destination ofGateway(const Address& inside, uint8_t protocol) const;
  const Subnet& subnetOf(const Address& inside) const;

  Options options_;
};

}  // namespace rn
