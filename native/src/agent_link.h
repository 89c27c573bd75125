// The parent's side of asking the agent for sockets.
//
// Theory of operation. request() gives a dial an id and puts it in line. At most kInFlight requests are with the agent
// at once (the kernel bounds how many descriptors may be under way, unix(7) ETOOMANYREFS); the others wait here. One that
// the agent calls pending does not count: a server that hangs must not hold up the others. While
// there is no agent (it starts, or it died and comes again) all of them wait; when a new one comes, requests that the
// old one did not answer are asked again. An answer ends a dial: with a descriptor that was checked, or with an errno.
// Several answers may come as one packet.
// The agent is not trusted: what it sends up must be a connected (TCP) or connected datagram (UDP) socket of the right
// family, towards the port that was asked for.
#pragma once
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "fd.h"
#include "packet_channel.h"
#include "sockets.h"
#include "wire.h"

class Dial {
 public:
  virtual ~Dial() = default;
  // It takes longer; onDialed() or onDialFailed() follows.
  virtual void onDialPending() {}
  virtual void onDialed(Fd fd) = 0;
  virtual void onDialFailed(int error, std::string_view message) = 0;
};

// What a port asks for, with each of its connections.
struct DialTarget {
  std::string request;  // msgpack, see wire.h
  int type = SOCK_STREAM;
  uint16_t port = 0;  // the child's
};

class AgentLink {
 public:
  explicit AgentLink(std::function<void(const std::string&)> log) : log_(std::move(log)) {}

  // Null while there is no agent.
  void setChannel(PacketChannel* channel);
  // Sends what has come up since the last call, as one packet. Called at the end of each round of events.
  void flush();
  uint32_t request(Dial* dial, const DialTarget* target, const Address& source, uint32_t attempt);
  void cancel(uint32_t id);
  // Ends every dial that waits.
  void failAll(int error, const std::string& message);
  // A data-plane packet from the agent. False where it is none that an agent may send.
  bool onPacket(std::string_view packet, std::vector<Fd> fds, bool lostFds);

  size_t waiting() const { return dials_.size(); }

 private:
  static constexpr size_t kInFlight = 512;
  static constexpr size_t kMaxOutgoing = 8 * 1024;

  struct Entry {
    Dial* dial;
    const DialTarget* target;
    Address source;
    uint32_t attempt;
    bool sent = false;
    bool inFlight = false;
  };

  void take(const wire::Answer& answer, Fd fd, bool lostFds);
  void sendMore();
  void landed(Entry* entry);

  std::function<void(const std::string&)> log_;
  PacketChannel* channel_ = nullptr;
  std::string outgoing_;
  std::unordered_map<uint32_t, Entry> dials_;
  std::deque<uint32_t> line_;
  size_t inFlight_ = 0;
  uint32_t nextId_ = 1;
};
