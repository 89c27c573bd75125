// One end of a SOCK_SEQPACKET socketpair: one packet is one message, descriptors come with the packet that they belong to.
//
// Packets that the owner hands to another thread are counted in an Unread, which both threads share: above its limit the
// channel is not read, so that packets wait in the socket and its sender blocks, until that thread has caught up.
#pragma once
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include "loop/loop.h"
#include "system/fd.h"

namespace rn {

// Bytes of a channel that were handed to another thread and are not handled yet.
struct Unread {
  // Large enough for a burst of requests; bounds what is kept in memory for one channel.
  static constexpr size_t kMost = 1024 * 1024;
  // What an event uses besides its text.
  static constexpr size_t kOverhead = 512;

  explicit Unread(uint32_t of) : channel(of) {}
  const uint32_t channel;
  std::atomic<size_t> bytes{0};
  std::atomic<bool> paused{false};

  // Any thread. True where the channel is to be resumed.
  bool handled(size_t count) { return (bytes -= count) < kMost / 2 && paused; }
};

class PacketChannel : public Handler, public DeferredDelete {
 public:
  // The most that one packet has (unix(7), SCM_MAX_FD has three more); and one that is not for a pool (pool/socket_pool.h).
  static constexpr size_t kMaxFds = 250;
  static constexpr size_t kUsualFds = 8;

  class Owner {
   public:
    virtual ~Owner() = default;
    // `lostFds`: descriptors came, but this process had no free ones for them.
    virtual void onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) = 0;
    // The other side went away, or sent a packet that cannot be read. The channel is buried already.
    virtual void onChannelClosed(PacketChannel* channel, const std::string& reason) = 0;
  };

  PacketChannel(Loop* loop, Fd fd, Owner* owner, uint32_t id);

  uint32_t id() const { return id_; }
  void setOwner(Owner* owner) { owner_ = owner; }

  // Never blocks: what does not fit the socket now waits in a queue.
  void send(std::string data, std::vector<Fd> fds);
  // Packets that wait to be sent.
  size_t backlog() const { return queue_.size(); }
  // Counts a packet that is handed to another thread, and stops reading above the limit.
  std::shared_ptr<Unread> passOn(size_t bytes);
  // Reads again, if enough was handled.
  void resume();
  // Ends the channel without notifying the owner.
  void close();
  // Ends the channel and notifies the owner.
  void fail(const std::string& reason);

  void onEvents(uint32_t events) override;
  void onAgain() override;
  void onStalled() override;

 private:
  struct Packet {
    std::string data;
    std::vector<Fd> fds;
  };
  // `full`: epoll reports when the socket has room. `later`: no event reports when a retry will succeed.
  enum class Sent { yes, full, later, never };

  Sent trySend(const Packet& packet);
  void flush();
  void waitToSend(Sent why);
  void watchOut(bool wanted);
  void updateWatch();

  Loop* loop_;
  Fd fd_;
  Owner* owner_;
  uint32_t id_;
  std::deque<Packet> queue_;
  size_t queuedBytes_ = 0;
  std::shared_ptr<Unread> unread_;
  bool watchesOut_ = false;
  // Not watched at all: paused, and the peer is gone.
  bool parked_ = false;
};

}  // namespace rn
