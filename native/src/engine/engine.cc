#include "engine/engine.h"

#include <errno.h>
#include <algorithm>
#include <future>

#include "connect/wire.h"
#include "loop/closer.h"
#include "sandbox/confine.h"
#include "system/sockets.h"
#include "tcp/tcp_port.h"
#include "udp/udp_port.h"

namespace rn {

namespace {
// Closing a listener takes some microseconds.
constexpr uint32_t kPortsClosedAtOnce = 256;
}  // namespace

Engine::Engine(EventSink& events, const std::string& congestion, Timeouts timeouts)
    : events_(events),
      agents_(loop_, [this](const std::string& text) { log(text); }),
      context_{loop_, agents_, events, timeouts, congestion, [this](const std::string& text) { log(text); }},
      paths_(loop_, [this](const std::string& text) { log(text); }),
      dialer_(loop_, paths_,
              Dialer::Options{congestion,
                              [this](const std::string& target) {
                                Event event{Event::Kind::planWanted};
                                event.data = target;
                                events_.emit(std::move(event));
                              },
                              [this](const std::string& target, const std::string& ip) {
                                Event event{Event::Kind::clientWanted};
                                event.data = target;
                                event.text = ip;
                                events_.emit(std::move(event));
                              },
                              [this](uint32_t channel, std::string data, std::vector<Fd> fds) {
                                auto it = channels_.find(channel);
                                if (it != channels_.end()) it->second->send(std::move(data), std::move(fds));
                              }}) {
  loop_.onTick([this] {
    agents_.tick();
    for (auto& [id, port] : ports_) port->tick();
    context_.halfClosed.tick();
  });
  loop_.onRoundEnd([this] {
    agents_.flush();
    dialer_.flush();
  });
  loop_.start();
}

Engine::~Engine() { stop(); }

void Engine::stop() {
  loop_.post([this] {
    if (addressWatch_ != nullptr) addressWatch_->close();
    addressWatch_ = nullptr;
    agents_.setChannel(nullptr);
    for (auto& [id, port] : ports_) port->close();
    ports_.clear();
    for (auto& [id, channel] : channels_) channel->close();
    channels_.clear();
  });
  loop_.stop();
}

void Engine::log(const std::string& text) {
  Event event{Event::Kind::log};
  event.text = text;
  events_.emit(std::move(event));
}

void Engine::openChannel(uint32_t id, Fd fd) {
  int raw = fd.release();
  loop_.post([this, id, raw] { channels_[id] = new PacketChannel(&loop_, Fd(raw), this, id); });
}

void Engine::closeChannel(uint32_t id) {
  loop_.post([this, id] {
    auto it = channels_.find(id);
    if (it == channels_.end()) return;
    if (id == agentChannel_) {
      agentChannel_ = 0;
      agents_.setChannel(nullptr);
    }
    it->second->close();
    channels_.erase(it);
  });
}

void Engine::send(uint32_t id, std::string data, std::vector<Fd> fds) {
  auto shared = std::make_shared<std::vector<Fd>>(std::move(fds));
  loop_.post([this, id, data = std::move(data), shared]() mutable {
    auto it = channels_.find(id);
    if (it != channels_.end()) it->second->send(std::move(data), std::move(*shared));
  });
}

void Engine::handled(const std::shared_ptr<Unread>& unread, size_t bytes) {
  if (!unread->handled(bytes + Unread::kOverhead)) return;
  loop_.post([this, id = unread->channel] {
    auto it = channels_.find(id);
    if (it != channels_.end()) it->second->resume();
  });
}

void Engine::setAgent(uint32_t id) {
  loop_.post([this, id] {
    auto it = channels_.find(id);
    agentChannel_ = it == channels_.end() ? 0 : id;
    agents_.setChannel(it == channels_.end() ? nullptr : it->second);
  });
}

void Engine::failWaiting(int error, std::string message) {
  loop_.post([this, error, message = std::move(message)] { agents_.failAll(error, message); });
}

std::shared_ptr<Port> Engine::makePort(PortOptions options) {
  if (options.target.type == SOCK_STREAM) return std::make_shared<TcpPort>(context_, std::move(options));
  return std::make_shared<UdpPort>(context_, std::move(options));
}

std::shared_ptr<Port> Engine::addPort(PortOptions options) {
  std::shared_ptr<Port> made = makePort(std::move(options));
  // The first client wakes the loop; waking it for each port would take longer than opening one.
  loop_.postNoWake([this, made] { open(made); });
  made->watch();
  return made;
}

std::vector<std::shared_ptr<Port>> Engine::addPorts(const PortOptions& first, std::vector<Fd> listeners) {
  std::vector<std::shared_ptr<Port>> made;
  made.reserve(listeners.size());
  for (size_t i = 0; i < listeners.size(); i++) {
    PortOptions options;
    options.id = first.id + uint32_t(i);
    options.target = first.target;
    options.target.port = uint16_t(first.target.port + i);
    options.proxyProtocol = first.proxyProtocol;
    options.listeners.push_back(std::move(listeners[i]));
    made.push_back(makePort(std::move(options)));
  }
  loop_.postNoWake([this, made] {
    for (const auto& port : made) open(port);
  });
  for (const auto& port : made) port->watch();
  return made;
}

void Engine::open(const std::shared_ptr<Port>& port) {
  auto owner = ports_.find(port->owner());
  if (owner != ports_.end()) port->setOwner(owner->second);
  ports_[port->id()] = port;
  port->open();
}

void Engine::removePorts(uint32_t first, uint32_t count) {
  loop_.post([this, first, count] { closePorts(first, count, 0); });
}

void Engine::closePorts(uint32_t first, uint32_t count, uint32_t done) {
  uint32_t end = std::min(count, done + kPortsClosedAtOnce);
  for (; done < end; done++) {
    auto it = ports_.find(first + done);
    if (it == ports_.end()) continue;
    it->second->close();
    ports_.erase(it);
  }
  if (done < count) {
    // Connections of other ports are relayed in between.
    loop_.post([this, first, count, done] { closePorts(first, count, done); });
    return;
  }
  Event event{Event::Kind::portClosed};
  event.id = first;
  events_.emit(std::move(event));
}

Fd Engine::listenerOf(uint32_t id) {
  return ask<Fd>(id, [](Port* port) { return port != nullptr ? port->listener() : Fd(); });
}

int Engine::suspendPort(uint32_t id) {
  return ask<int>(id, [](Port* port) { return port != nullptr ? port->suspend() : EBADF; });
}

int Engine::resumePort(uint32_t id) {
  return ask<int>(id, [](Port* port) { return port != nullptr ? port->resume() : 0; });
}

Fd Engine::transferPort(uint32_t id) {
  return ask<Fd>(id, [](Port* port) { return port != nullptr ? port->transfer() : Fd(); });
}

void Engine::settle() {
  ask<int>(0, [](Port*) { return 0; });
}

template <typename T>
T Engine::ask(uint32_t id, T (*question)(Port*)) {
  auto answer = std::make_shared<std::promise<T>>();
  loop_.post([this, id, question, answer] {
    auto it = ports_.find(id);
    answer->set_value(question(it == ports_.end() ? nullptr : it->second.get()));
  });
  return answer->get_future().get();
}

void Engine::watchConnections(bool wanted) {
  loop_.post([this, wanted] { context_.watchConnections = wanted; });
}

void Engine::confine(bool connects) {
  // Kernels without Landlock are supported, so an error is ignored.
  loop_.post([connects] { confine::thread(connects); });
}

void Engine::watchAddresses(bool routes, std::string complaint) {
  loop_.post([this, routes, complaint = std::move(complaint)] {
    if (addressWatch_ != nullptr) return;
    addressWatch_ = new AddressWatch(loop_, routes, [this] { events_.emit(Event{Event::Kind::addressesChanged}); });
    // Changes until now were missed.
    events_.emit(Event{Event::Kind::addressesChanged});
    if (!addressWatch_->open() && !complaint.empty()) log(complaint);
  });
}

void Engine::serveConnects(uint32_t id) {
  loop_.post([this, id] { servedChannel_ = id; });
}

void Engine::setPlan(std::string target, std::vector<Address> addresses, bool keepSource, Fd netns) {
  auto shared = std::make_shared<Fd>(std::move(netns));
  loop_.post([this, target = std::move(target), addresses = std::move(addresses), keepSource, shared] {
    dialer_.setPlan(target, addresses, keepSource, std::move(*shared));
  });
}

void Engine::setClient(std::string target, std::string ip, bool keep, uint32_t mark) {
  loop_.post([this, target = std::move(target), ip = std::move(ip), keep, mark] {
    dialer_.setClient(target, ip, keep, mark);
  });
}

void Engine::takeOverPaths(uint32_t mark) {
  loop_.post([this, mark] { paths_.takeOver(mark); });
}

void Engine::forgetPlan(std::string target) {
  loop_.post([this, target = std::move(target)] { dialer_.forgetPlan(target); });
}

void Engine::forgetPlans() {
  loop_.post([this] { dialer_.forgetPlans(); });
}

void Engine::onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) {
  if (wire::isDataPlane(data)) {
    bool valid = false;
    if (channel->id() == agentChannel_) {
      valid = agents_.onPacket(data, std::move(fds), lostFds);
    } else {
      if (channel->id() == servedChannel_) valid = dialer_.onPacket(channel->id(), data);
      closer::close(std::move(fds));
    }
    if (!valid) channel->fail("invalid packet (" + std::to_string(data.size()) + " bytes)");
    return;
  }
  Event event{Event::Kind::message};
  event.id = channel->id();
  event.data = std::string(data);
  for (Fd& fd : fds) event.fds.push_back(fd.release());
  event.unread = channel->passOn(data.size() + Unread::kOverhead);
  events_.emit(std::move(event));
}

void Engine::onChannelClosed(PacketChannel* channel, const std::string& reason) {
  uint32_t id = channel->id();
  channels_.erase(id);
  if (id == agentChannel_) {
    agentChannel_ = 0;
    agents_.setChannel(nullptr);
  }
  Event event{Event::Kind::channelClosed};
  event.id = id;
  event.text = reason;
  events_.emit(std::move(event));
}

}  // namespace rn
