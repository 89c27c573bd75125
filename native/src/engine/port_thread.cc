#include "engine/port_thread.h"

#include <algorithm>
#include <utility>

namespace rn {

namespace {
// Closing a listener takes some microseconds.
constexpr uint32_t kPortsClosedAtOnce = 256;
}  // namespace

PortThread::PortThread(EventSink& events, Shared& shared, const EngineOptions& options,
                       const std::function<void(const std::string&)>& log, AgentLost lost)
    : agents_(loop_, options.threads, log),
      context_{loop_, agents_, events, shared, options.timeouts, options.congestion, log, options.threads},
      lost_(std::move(lost)) {
  agents_.usePool(&context_.watchdog, &context_.fds, options.congestion);
  loop_.onTick([this] { tick(); });
  loop_.onAlarm([this] { context_.pacer.onAlarm(); });
}

void PortThread::tick() {
  agents_.tick();
  std::vector<Port*> ports(context_.ticking.begin(), context_.ticking.end());
  for (Port* port : ports) port->tick();
  context_.halfClosed.tick();
}

void PortThread::add(const std::vector<std::shared_ptr<Port>>& ports) {
  // The first client wakes the loop; waking it for each port would take longer than opening one.
  loop_.postNoWake([this, ports] {
    for (const auto& port : ports) {
      auto owner = ports_.find(port->owner());
      if (owner != ports_.end()) port->setOwner(owner->second);
      ports_[port->id()] = port;
      port->open();
    }
  });
  for (const auto& port : ports) port->watch();
}

void PortThread::remove(uint32_t first, uint32_t count, std::function<void()> done) {
  auto then = std::make_shared<std::function<void()>>(std::move(done));
  loop_.post([this, first, count, then] { close(first, count, 0, then); });
}

void PortThread::close(uint32_t first, uint32_t count, uint32_t done,
                       const std::shared_ptr<std::function<void()>>& then) {
  uint32_t end = std::min(count, done + kPortsClosedAtOnce);
  for (; done < end; done++) {
    auto it = ports_.find(first + done);
    if (it == ports_.end()) continue;
    it->second->close();
    ports_.erase(it);
  }
  if (done < count) {
    // Connections of other ports are relayed in between.
    loop_.post([this, first, count, done, then] { close(first, count, done, then); });
    return;
  }
  (*then)();
}

void PortThread::setAgent(uint32_t agent, Fd fd, std::shared_ptr<AgentTrust> trust) {
  auto shared = std::make_shared<Fd>(std::move(fd));
  loop_.post([this, agent, shared, trust = std::move(trust)] {
    if (channel_ != nullptr) channel_->close();
    channel_ = shared->valid() ? new PacketChannel(&loop_, std::move(*shared), this, agent) : nullptr;
    agents_.setChannel(channel_, trust);
  });
}

Port* PortThread::find(uint32_t id) {
  auto it = ports_.find(id);
  return it == ports_.end() ? nullptr : it->second.get();
}

void PortThread::listFlows(std::vector<PortFlow>* flows, std::vector<std::shared_ptr<Port>>* parts) const {
  for (const auto& [id, port] : ports_) {
    port->listFlows(flows);
    port->listParts(parts);
  }
}

void PortThread::closeAll() {
  for (auto& [id, port] : ports_) port->close();
  ports_.clear();
  agents_.endPool();
}

void PortThread::onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) {
  if (!agents_.onPacket(data, std::move(fds), lostFds)) {
    channel->fail("invalid packet (" + std::to_string(data.size()) + " bytes)");
  }
}

void PortThread::onChannelClosed(PacketChannel* channel, const std::string& reason) {
  channel_ = nullptr;
  agents_.setChannel(nullptr);
  lost_(channel->id(), reason);
}

}  // namespace rn
