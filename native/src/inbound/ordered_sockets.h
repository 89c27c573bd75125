// The parent's end of orders of sockets (socket_orders.h): one for all threads of the engine, with a channel of the first.
#pragma once
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "connect/packet_channel.h"
#include "inbound/socket_orders.h"
#include "loop/loop.h"
#include "system/fd.h"

namespace rn {

class OrderedSockets : public PacketChannel::Owner, public std::enable_shared_from_this<OrderedSockets> {
 public:
  using Delivery = std::function<void(std::vector<Fd>)>;

  // On the loop's thread, as close(). `channel` leads to the launcher; `gateway` is a socket of the gateway namespace.
  OrderedSockets(Loop& loop, Fd channel, Fd gateway);
  // Any thread: calls back on that loop's, with fewer sockets where they could not be made. The id is set here.
  void order(const socket_order& order, Loop& caller, Delivery delivery);
  // Orders that are under way, and later ones, get nothing.
  void close();

  void onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) override;
  void onChannelClosed(PacketChannel* channel, const std::string& reason) override;

 private:
  struct Ordered {
    Loop* caller;
    Delivery delivery;
  };
  void send(socket_order order, Ordered ordered);
  static void deliver(const Ordered& ordered, std::vector<Fd> fds);

  Loop& loop_;
  // Null once it is closed.
  PacketChannel* channel_;
  Fd gateway_;
  std::unordered_map<uint32_t, Ordered> ordered_;
  uint32_t nextId_ = 1;
};

}  // namespace rn
