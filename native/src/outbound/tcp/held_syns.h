// Connection attempts of programs inside: a SYN is held until the host has connected to its destination.
//
// Theory of operation. The gateway's packet filter drops the SYNs of the child; a packet socket gets a copy of each. Here it
// begins an attempt, which is in one of these states:
//
//   connecting   connect(2) on the host is under way
//   admitted     the host has connected, and the SYN was sent again to the gateway, whose listener receives it this time;
//                the attempt ends when the connection is accepted there, and take() returns the host's socket
//
// Where the host does not connect, the program gets what the host got: a reset, or an ICMP error with the same errno, or
// nothing after a time-out. So a program sees the same as without a namespace, and can try its next address. Where the host
// itself lacks something (descriptors, ports), the SYN is dropped: the program's kernel sends it again after a second.
//
// A SYN that comes again is the same attempt. A program that gives up sends nothing: an attempt ends when no SYN has come
// for longer than the sender's kernel would wait (tcp(7), tcp_syn_retries; the time doubles from one second).
//
// The number of attempts is limited, in all and for each address inside, and each has its share of descriptors.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>

#include "connect/outgoing.h"
#include "engine/context.h"
#include "outbound/egress.h"
#include "outbound/four_tuple.h"
#include "outbound/frames/packet.h"
#include "outbound/frames/packet_out.h"

namespace rn {

class HeldSyn;

// What becomes of an accepted connection.
struct Admitted {
  // False where no SYN was held for it.
  bool found = false;
  Destination destination;
  // Connected to the destination; invalid where that is the DNS forwarder.
  Fd host;
};

class HeldSyns {
 public:
  struct Deps {
    Context& context;
    PacketOut& out;
    Egress& egress;
    // Of the descriptors.
    FdBudget::Holder& holder;
  };

  struct Ends {
    const Address& client;
    const Address& destination;
  };

  // Of an attempt: the host's socket, and the one that will be accepted.
  static constexpr uint64_t kDescriptors = 2;

  explicit HeldSyns(Deps deps);
  ~HeldSyns();
  void onSyn(const Packet& syn);
  // Of an accepted connection. Its descriptors are still accounted for. `translated`: the kernel's NAT may have changed the
  // client's port, as it does where the same port has another connection to that address; then any attempt of this client to
  // that destination is meant, since they are alike.
  Admitted take(const Ends& ends, bool translated);
  // Ends the attempts of a client, which begin anew when its SYNs come again.
  void endOf(const Address& client);
  void tick();
  void close();

 private:
  friend class HeldSyn;

  // In all, and for one address inside.
  static constexpr size_t kMost = 4096;
  static constexpr size_t kMostOfOne = 3072;
  // Headers with all options of IPv4 and TCP have 120 bytes.
  static constexpr size_t kMostOfSyn = 2048;

  void refuse(const Packet& syn, int error);
  // Null for none.
  HeldSyn* findAdmitted(const Ends& ends, bool translated);
  void remove(HeldSyn* held);
  template <typename Wanted>
  void endAll(Wanted wanted);
  bool hasRoomFor(const Address& client) const;

  Deps deps_;
  std::unique_ptr<Sockets> sockets_;
  std::unordered_map<FourTuple, HeldSyn*, FourTuple::Hash> attempts_;
  std::unordered_map<std::string, size_t> ofClients_;
  uint64_t nextCheck_ = 0;
};

}  // namespace rn
