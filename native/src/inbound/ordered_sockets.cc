#include "inbound/ordered_sockets.h"

#include <fcntl.h>
#include <string.h>
#include <utility>

#include "loop/closer.h"

namespace rn {

OrderedSockets::OrderedSockets(Loop& loop, Fd channel, Fd gateway)
    : loop_(loop), channel_(new PacketChannel(&loop, std::move(channel), this, 0)), gateway_(std::move(gateway)) {}

void OrderedSockets::order(const socket_order& order, Loop& caller, Delivery delivery) {
  loop_.post([self = shared_from_this(), order, ordered = Ordered{&caller, std::move(delivery)}] {
    self->send(order, ordered);
  });
}

void OrderedSockets::send(socket_order order, Ordered ordered) {
  Fd gateway(channel_ != nullptr ? fcntl(gateway_.get(), F_DUPFD_CLOEXEC, 0) : -1);
  if (!gateway.valid()) {
    deliver(ordered, {});
    return;
  }
  order.id = nextId_++;
  ordered_.emplace(order.id, std::move(ordered));
  std::vector<Fd> fds;
  fds.push_back(std::move(gateway));
  channel_->send(std::string(reinterpret_cast<const char*>(&order), sizeof order), std::move(fds));
}

void OrderedSockets::deliver(const Ordered& ordered, std::vector<Fd> fds) {
  auto shared = std::make_shared<std::vector<Fd>>(std::move(fds));
  ordered.caller->post([delivery = ordered.delivery, shared] { delivery(std::move(*shared)); });
}

void OrderedSockets::onPacket(PacketChannel*, std::string_view data, std::vector<Fd> fds, bool) {
  uint32_t id = 0;
  if (data.size() == sizeof id) memcpy(&id, data.data(), sizeof id);
  auto it = ordered_.find(id);
  if (it == ordered_.end()) {
    // The launcher is in the hands of a program inside.
    closer::close(std::move(fds));
    return;
  }
  Ordered ordered = std::move(it->second);
  ordered_.erase(it);
  deliver(ordered, std::move(fds));
}

void OrderedSockets::onChannelClosed(PacketChannel*, const std::string&) {
  channel_ = nullptr;
  close();
}

void OrderedSockets::close() {
  if (channel_ != nullptr) std::exchange(channel_, nullptr)->close();
  gateway_.reset();
  for (auto& [id, ordered] : std::exchange(ordered_, {})) deliver(ordered, {});
}

}  // namespace rn
