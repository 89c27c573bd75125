#include "engine.h"

#include <errno.h>
#include <future>

#include "sockets.h"
#include "tcp_port.h"
#include "udp_port.h"
#include "wire.h"

FdBudget::FdBudget() {
  uint64_t limit = sockets::fdLimit();
  limit_ = limit > 2 * sockets::kReservedFds ? limit - sockets::kReservedFds : limit / 2;
}

Engine::Engine(EventSink& events, std::string congestion)
    : events_(events),
      agents_([this](const std::string& text) { log(text); }),
      context_{loop_, agents_, events, congestion},
      dialer_(
          loop_, congestion,
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
          }) {
  loop_.onTick([this] {
    for (auto& [id, port] : ports_) port->tick();
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

std::shared_ptr<Port> Engine::addPort(PortOptions options) {
  std::shared_ptr<Port> made;
  if (options.target.type == SOCK_STREAM) {
    made = std::make_shared<TcpPort>(context_, std::move(options));
  } else {
    made = std::make_shared<UdpPort>(context_, std::move(options));
  }
  // The first client wakes the loop; waking it for each port takes longer than opening one.
  loop_.postQuietly([this, made] {
    auto lender = ports_.find(made->lender());
    if (lender != ports_.end()) made->setLender(lender->second);
    ports_[made->id()] = made;
    made->open();
  });
  made->watch();
  return made;
}

void Engine::removePort(uint32_t id) {
  loop_.post([this, id] {
    auto it = ports_.find(id);
    if (it != ports_.end()) {
      it->second->close();
      ports_.erase(it);
    }
    Event event{Event::Kind::portClosed};
    event.id = id;
    events_.emit(std::move(event));
  });
}

Fd Engine::listenerOf(uint32_t id) {
  return ask<Fd>(id, [](Port* port) { return port != nullptr ? port->listener() : Fd(); });
}

int Engine::lendPort(uint32_t id) {
  return ask<int>(id, [](Port* port) { return port != nullptr ? port->lend() : EBADF; });
}

int Engine::takeBackPort(uint32_t id) {
  return ask<int>(id, [](Port* port) { return port != nullptr ? port->takeBack() : 0; });
}

Fd Engine::handOverPort(uint32_t id) {
  return ask<Fd>(id, [](Port* port) { return port != nullptr ? port->handOver() : Fd(); });
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

void Engine::serveConnects(uint32_t id) {
  loop_.post([this, id] { servedChannel_ = id; });
}

void Engine::setPlan(std::string target, std::vector<Address> addresses, bool keepSource) {
  loop_.post([this, target = std::move(target), addresses = std::move(addresses), keepSource] {
    dialer_.setPlan(target, addresses, keepSource);
  });
}

void Engine::setClient(std::string target, std::string ip, bool keep) {
  loop_.post([this, target = std::move(target), ip = std::move(ip), keep] { dialer_.setClient(target, ip, keep); });
}

void Engine::forgetPlan(std::string target) {
  loop_.post([this, target = std::move(target)] { dialer_.forgetPlan(target); });
}

void Engine::forgetClients() {
  loop_.post([this] { dialer_.forgetClients(); });
}

void Engine::forgetPlans() {
  loop_.post([this] { dialer_.forgetPlans(); });
}

void Engine::onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) {
  if (wire::isDataPlane(data)) {
    bool understood = false;
    if (channel->id() == agentChannel_) {
      understood = agents_.onPacket(data, std::move(fds), lostFds);
    } else if (channel->id() == servedChannel_) {
      understood = dialer_.onPacket(channel->id(), data);
    }
    if (!understood) channel->fail("a packet came that is not understood (" + std::to_string(data.size()) + " bytes)");
    return;
  }
  Event event{Event::Kind::message};
  event.id = channel->id();
  event.data = std::string(data);
  for (Fd& fd : fds) event.fds.push_back(fd.release());
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
