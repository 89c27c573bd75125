// One end of a SOCK_SEQPACKET socketpair: a packet a message, descriptors ride on the packet that they belong to.
#pragma once
#include <deque>
#include <string>
#include <string_view>
#include <vector>
#include "fd.h"
#include "loop.h"

class PacketChannel : public Handler, public Buriable {
 public:
  // That ride on one packet, at most.
  static constexpr size_t kMaxFds = 8;

  class Owner {
   public:
    virtual ~Owner() = default;
    // `lostFds`: descriptors came, but this process had no room for them.
    virtual void onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) = 0;
    // The other side went away, or sent a packet that cannot be read. The channel is buried already.
    virtual void onChannelClosed(PacketChannel* channel, const std::string& reason) = 0;
  };

  PacketChannel(Loop* loop, Fd fd, Owner* owner, uint32_t id);

  uint32_t id() const { return id_; }
  void setOwner(Owner* owner) { owner_ = owner; }

  // Never blocks: what the socket does not take now waits in a queue.
  void send(std::string data, std::vector<Fd> fds);
  // Packets that wait to be sent.
  size_t backlog() const { return queue_.size(); }
  // Ends the channel without telling the owner.
  void close();
  // Ends the channel and tells the owner.
  void fail(const std::string& reason);

  void onEvents(uint32_t events) override;
  void onAgain() override;

 private:
  struct Packet {
    std::string data;
    std::vector<Fd> fds;
  };
  // `full`: when the socket takes more, epoll says so. `later`: nothing says when it will be taken.
  enum class Sent { yes, full, later, never };

  Sent trySend(const Packet& packet);
  void flush();
  void waitToSend(Sent why);
  void watchOut(bool wanted);

  Loop* loop_;
  Fd fd_;
  Owner* owner_;
  uint32_t id_;
  std::deque<Packet> queue_;
  bool watchesOut_ = false;
};
