#include "engine/engine.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <atomic>
#include <future>
#include <memory>
#include <utility>

#include "connect/wire.h"
#include "dns/link/name_wire.h"
#include "dns/message.h"
#include "loop/closer.h"
#include "sandbox/confine.h"
#include "system/sockets.h"

namespace rn {

Engine::Engine(EventSink& events, const EngineOptions& options)
    : events_(events),
      oneHome_(options.oneHome),
      threads_(options.threads),
      loop_(makeThreads(options)),
      paths_(loop_, [this](const std::string& text) { log(text); }),
      dialer_(loop_, paths_,
              Dialer::Options{options.congestion,
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
                              }}),
      queries_([this](std::string query, const Address& client, bool tcp, AgentQueries::Done done) {
        NameServer* server = names();
        if (server != nullptr) server->ask(std::move(query), client, tcp, std::move(done));
        else done(dns::errorReply(query, dns::Rcode::servFail, dns::Reason::noReachableAuthority));
      }),
      nameServers_(loop_, [this](std::string packet, std::vector<Fd> fds) {
        auto it = channels_.find(servedChannel_);
        if (it != channels_.end()) it->second->send(std::move(packet), std::move(fds));
      }) {
  loop_.onTick([this] {
    if (gateway_) gateway_->tick();
    nameServers_.tick();
  });
  for (const auto& thread : threads_) {
    bool first = thread == threads_.front();
    thread->loop().onRoundEnd([this, first, agents = &thread->agents()] {
      agents->flush();
      if (first) dialer_.flush();
    });
    thread->loop().start();
  }
}

Loop& Engine::makeThreads(const EngineOptions& options) {
  for (auto& thread : threads_) {
    thread = std::make_unique<PortThread>(
        events_, shared_, options, [this](const std::string& text) { log(text); },
        [this](uint32_t agent, const std::string& reason) { replaceAgent(agent, reason); });
    shared_.threads.push_back(&thread->context());
  }
  for (const auto& thread : threads_) {
    if (threads_.size() == 1) break;
    thread->context().fds.onShortage([this, own = &thread->context()](uint64_t more) {
      for (Context* other : shared_.threads) {
        if (other == own) continue;
        other->loop.post([other, own, more] {
          other->fds.evictForOthers(more);
          own->fds.answered();
        });
      }
      return shared_.threads.size() - 1;
    });
  }
  return threads_.front()->loop();
}

Engine::~Engine() { stop(); }

void Engine::stop() {
  if (stopped_) return;
  stopped_ = true;
  closeGateway();
  for (const auto& thread : threads_) thread->loop().post([&thread] { thread->closeAll(); });
  // Parts of ports are closed by the tasks of others.
  settle();
  loop_.post([this] {
    if (addressWatch_ != nullptr) addressWatch_->close();
    addressWatch_ = nullptr;
    linkAgent(nullptr);
    names_.reset();
    nameServers_.closeAll();
    for (auto& [id, channel] : channels_) channel->close();
    channels_.clear();
  });
  settle();
  for (const auto& thread : threads_) thread->loop().stop();
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
    if (id == agentChannel_) linkAgent(nullptr);
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
    linkAgent(it == channels_.end() ? nullptr : it->second);
  });
}

void Engine::linkAgent(PacketChannel* channel) {
  queries_.setChannel(channel);
  agentChannel_ = channel == nullptr ? 0 : channel->id();
  auto trust = std::make_shared<AgentTrust>();
  threads_.front()->agents().setChannel(channel, trust);
  for (size_t i = 1; i < threads_.size(); i++) {
    int ends[2] = {-1, -1};
    if (channel != nullptr && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
      channel->fail(std::string("no channel to it can be made: ") + strerror(errno));
      return;
    }
    if (channel != nullptr) {
      std::vector<Fd> theirs;
      theirs.emplace_back(ends[1]);
      channel->send(wire::encodeChannel(), std::move(theirs));
    }
    threads_[i]->setAgent(agentChannel_, Fd(ends[0]), trust);
  }
}

// Any thread.
void Engine::replaceAgent(uint32_t agent, const std::string& reason) {
  loop_.post([this, agent, reason] {
    // If the agent has ended, its own channel reports that as well, and usually before.
    if (agent == agentChannel_ && agent != 0) channels_.at(agent)->fail(reason);
  });
}

void Engine::failWaiting(int error, const std::string& message) {
  for (const auto& thread : threads_) {
    thread->loop().post([agents = &thread->agents(), error, message] { agents->failAll(error, message); });
  }
}

void Engine::afterAll(const std::function<void()>& then) {
  auto left = std::make_shared<std::atomic<size_t>>(threads_.size());
  for (const auto& thread : threads_) {
    thread->loop().post([left, then] {
      if (--*left == 0) then();
    });
  }
}

void Engine::settle() {
  auto done = std::make_shared<std::promise<void>>();
  afterAll([done] { done->set_value(); });
  done->get_future().wait();
}

void Engine::watchConnections(bool wanted) {
  for (const auto& thread : threads_) {
    thread->loop().post([context = &thread->context(), wanted] { context->watchConnections = wanted; });
  }
}

void Engine::confine() {
  // Kernels without Landlock are supported, so an error is ignored.
  for (const auto& thread : threads_) thread->loop().post([] { confine::thread(); });
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

void Engine::setLimit(uint32_t number, uint64_t outgoing, uint64_t incoming) {
  shared_.limits.of(number).set(outgoing, incoming);
  bool isLimited = shared_.limits.anySet();
  for (const auto& thread : threads_) {
    // At once: what comes before the thread looks at what was posted is limited, too.
    thread->context().isLimited.store(isLimited, std::memory_order_relaxed);
    thread->loop().post([context = &thread->context()] { context->pacer.wakeAll(); });
  }
}

void Engine::serveConnects(uint32_t id) {
  loop_.post([this, id] { servedChannel_ = id; });
}

void Engine::setPlan(std::string target, std::vector<Address> addresses, bool keepSource, Fd netns) {
  auto plan = std::make_shared<Dialer::Plan>();
  *plan = {std::move(addresses), keepSource, std::move(netns), dialer_.epoch().current()};
  loop_.post([this, target = std::move(target), plan] { dialer_.setPlan(target, std::move(*plan)); });
}

void Engine::setClient(std::string target, std::string ip, bool keep, uint32_t mark) {
  loop_.post([this, target = std::move(target), ip = std::move(ip), keep, mark] {
    dialer_.setClient(target, ip, keep, mark);
  });
}

void Engine::takeOverPaths(uint32_t mark) {
  loop_.post([this, mark] { paths_.takeOver(mark); });
}

void Engine::forgetPlan(const std::string& target) {
  loop_.post([this, target] { dialer_.forgetPlan(target); });
  for (const auto& thread : threads_) {
    thread->loop().post([agents = &thread->agents(), target] { agents->forget(target); });
  }
}

void Engine::forgetPlans() {
  dialer_.epoch().advance();
  loop_.post([this] { dialer_.forgetPlans(); });
}

void Engine::withNameServers(const std::function<void(dns::Servers&)>& task) {
  ask(*threads_.front(), [&] { task(nameServers_); });
}

void Engine::watchQueries(bool wanted) {
  loop_.post([this, wanted] {
    watchesQueries_ = wanted;
    applyQueryWatch();
  });
}

void Engine::applyQueryWatch() {
  dns::QueryReports::Watcher watcher;
  if (watchesQueries_) {
    watcher = [this](const dns::QueryReport& report) {
      Event event{Event::Kind::dnsQuery};
      event.id = report.network;
      event.text = report.client.ip();
      event.data = report.name;
      event.connection = uint64_t(report.from);
      event.in = report.type;
      event.out = report.ms;
      event.missed = report.missed;
      events_.emit(std::move(event));
    };
  }
  nameServers_.watch(watcher);
  if (gateway_) gateway_->names().watch(watcher);
}

void Engine::askName(uint32_t id, uint32_t network, std::string query, const Address& client) {
  loop_.post([this, id, network, query = std::move(query), client] {
    nameServers_.ask(network, query, client, false, [this, id](std::string reply, dns::Origin from) {
      Event event{Event::Kind::dnsAnswer};
      event.id = id;
      event.data = std::move(reply);
      event.connection = uint64_t(from);
      events_.emit(std::move(event));
    });
  });
}

bool Engine::serve(PacketChannel* channel, std::string_view packet, std::vector<Fd>* fds) {
  if (name_wire::isName(packet)) return nameServers_.onPacket(packet, fds);
  if (!wire::isChannel(packet)) return dialer_.onPacket(channel->id(), packet, std::exchange(*fds, {}));
  // Without descriptors to spare it fails, and another agent is started.
  if (fds->size() != 1) return false;
  uint32_t id = nextAdded_++;
  channels_[id] = new PacketChannel(&loop_, std::move(fds->front()), this, id);
  return true;
}

void Engine::onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) {
  bool added = channel->id() >= kFirstAdded;
  if (wire::isDataPlane(data) || added) {
    bool valid = false;
    if (channel->id() == agentChannel_ && name_wire::isName(data)) {
      valid = queries_.onPacket(channel, data, &fds);
      closer::close(std::move(fds));
    } else if (channel->id() == agentChannel_) {
      valid = threads_.front()->agents().onPacket(data, std::move(fds), lostFds);
    } else {
      if (channel->id() == servedChannel_ || added) valid = serve(channel, data, &fds);
      closer::close(std::move(fds));
    }
    if (!valid) channel->fail("invalid packet (" + std::to_string(data.size()) + " bytes)");
    return;
  }
  if (fds.size() > PacketChannel::kUsualFds) {
    channel->fail("invalid packet (" + std::to_string(fds.size()) + " descriptors)");
    closer::close(std::move(fds));
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
  if (id == agentChannel_) linkAgent(nullptr);
  // The parent has closed it, and will close its own one if it ends.
  if (id >= kFirstAdded) return;
  Event event{Event::Kind::channelClosed};
  event.id = id;
  event.text = reason;
  events_.emit(std::move(event));
}

}  // namespace rn
