// Published ports of the engine.
#include <errno.h>
#include <sys/socket.h>
#include <atomic>
#include <memory>
#include <utility>

#include "engine/engine.h"
#include "tcp/tcp_port.h"
#include "udp/udp_port.h"

namespace rn {

PortThread& Engine::homeOf(uint32_t id) { return *threads_[oneHome_ ? 0 : id % threads_.size()]; }

std::shared_ptr<Port> Engine::makePort(PortOptions options) {
  Context& context = homeOf(options.id).context();
  if (options.target.type == SOCK_STREAM) return std::make_shared<TcpPort>(context, std::move(options));
  return std::make_shared<UdpPort>(context, std::move(options));
}

std::shared_ptr<Port> Engine::addPort(PortOptions options) {
  std::shared_ptr<Port> made = makePort(std::move(options));
  homeOf(made->id()).add({made});
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
  for (const auto& thread : threads_) {
    std::vector<std::shared_ptr<Port>> ports;
    for (const auto& port : made) {
      if (&homeOf(port->id()) == thread.get()) ports.push_back(port);
    }
    if (!ports.empty()) thread->add(ports);
  }
  return made;
}

void Engine::removePorts(uint32_t first, uint32_t count) {
  auto closed = [this, first] {
    Event event{Event::Kind::portClosed};
    event.id = first;
    events_.emit(std::move(event));
  };
  if (threads_.size() == 1) {
    threads_.front()->remove(first, count, closed);
    return;
  }
  auto homes = std::make_shared<std::atomic<size_t>>(threads_.size());
  for (const auto& thread : threads_) {
    thread->remove(first, count, [this, homes, closed] {
      // By now all tasks that close parts of these ports have been posted.
      if (--*homes == 0) afterAll(closed);
    });
  }
}

template <typename T>
T Engine::ask(uint32_t id, T (*question)(Port*)) {
  PortThread& home = homeOf(id);
  return ask(home, [&home, id, question] { return question(home.find(id)); });
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

void Engine::limitPorts(uint32_t first, uint32_t count, uint32_t number) {
  LimitPair* limit = &shared_.limits.of(number);
  for (const auto& thread : threads_) {
    thread->loop().post([thread = thread.get(), first, count, limit] {
      for (uint32_t id = first; id - first < count; id++) {
        if (Port* port = thread->find(id)) port->setLimit(limit);
      }
    });
  }
}

std::vector<PortFlow> Engine::portFlows() {
  struct Found {
    std::vector<PortFlow> flows;
    // On other threads, which are asked next.
    std::vector<std::shared_ptr<Port>> parts;
  };
  Found all;
  for (const auto& thread : threads_) {
    Found found = ask(*thread, [port = thread.get()] {
      Found here;
      port->listFlows(&here.flows, &here.parts);
      return here;
    });
    all.flows.insert(all.flows.end(), found.flows.begin(), found.flows.end());
    all.parts.insert(all.parts.end(), found.parts.begin(), found.parts.end());
  }
  for (const auto& thread : threads_) {
    auto flows = ask(*thread, [&all, context = &thread->context()] {
      std::vector<PortFlow> here;
      for (const auto& part : all.parts) {
        if (&part->context() == context) part->listFlows(&here);
      }
      return here;
    });
    all.flows.insert(all.flows.end(), flows.begin(), flows.end());
  }
  return all.flows;
}

}  // namespace rn
