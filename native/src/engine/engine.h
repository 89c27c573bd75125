// The engine: packet channels, and either a port forwarder (parent) or a dialer (child).
//
// Its first thread has the channels and the dialer; ports are shared by all (port_thread.h). Functions may be called from
// any thread; they take effect in the order of the calls.
#pragma once
#include <future>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "connect/address_watch.h"
#include "connect/agent_link.h"
#include "connect/dialer.h"
#include "connect/packet_channel.h"
#include "dns/link/agent_queries.h"
#include "dns/server/servers.h"
#include "engine/context.h"
#include "engine/port.h"
#include "engine/port_thread.h"
#include "inbound/ordered_sockets.h"
#include "loop/loop.h"
#include "outbound/gateway.h"

namespace rn {

class Engine : public PacketChannel::Owner {
 public:
  // `events` is called on its threads.
  Engine(EventSink& events, const EngineOptions& options);
  ~Engine() override;
  // Closes everything and ends the threads.
  void stop();

  void openChannel(uint32_t id, Fd fd);
  void closeChannel(uint32_t id);
  void send(uint32_t id, std::string data, std::vector<Fd> fds);
  // Any thread: a message of `bytes` was handled, so that reading its channel may continue.
  void handled(const std::shared_ptr<Unread>& unread, size_t bytes);

  // Parent: the channel whose other end is the agent; 0 for none.
  void setAgent(uint32_t id);
  void failWaiting(int error, const std::string& message);
  // The port's counters may be read as long as the pointer is held.
  std::shared_ptr<Port> addPort(PortOptions options);
  // A range: `first` with its first listener, and the others with the following ids and ports of the child.
  std::vector<std::shared_ptr<Port>> addPorts(const PortOptions& first, std::vector<Fd> listeners);
  // The ports with `count` ids from `first` on. One event portClosed follows.
  void removePorts(uint32_t first, uint32_t count);
  // Port::listener(), suspend(), resume() and transfer(); any thread but the engine's, while it runs: they block.
  Fd listenerOf(uint32_t id);
  int suspendPort(uint32_t id);
  int resumePort(uint32_t id);
  Fd transferPort(uint32_t id);
  // Returns when all earlier requests are done.
  void settle();
  void watchConnections(bool wanted);
  // Parent: restricts the threads, which need no files; see confine.h.
  void confine();
  // Reports changes of this namespace's addresses, and of `routes` and rules too, until the engine ends. If that fails,
  // `complaint` is logged, unless it is empty.
  void watchAddresses(bool routes, std::string complaint);

  // Parent: the network of the driver builtin, once; it ends with the engine, or before.
  void openGateway(GatewayOptions options);
  void closeGateway();
  // The host's resolvers, which names inside are asked of: by the gateway's DNS server, and without one for containers only.
  void setResolvers(std::vector<Address> resolvers, std::vector<std::string> search);
  // Names that the gateway's DNS server answers itself (dns/server/zone.h).
  void setOwnNames(dns::Zone zone);
  // Egress::setPolicy(), and the counters of its rules, the default's first. Any thread but the engine's: they block.
  bool setEgress(const std::string& encoded, const std::vector<Address>& host);
  std::vector<RuleCounters> egressCounters();
  // Egress::learn(), and what was learnt: nothing where there are `known` rules still. As above.
  struct Learned {
    std::vector<LearnedRule> rules;
    bool full = false;
  };
  bool learnEgress(const std::vector<Address>& host);
  Learned learnedRules(size_t known);
  // Gateway::setSource() and removeSource(), the host's addresses for all of them, and the counters of one of a source's
  // policies. As above.
  bool setSource(uint32_t id, const std::vector<Address>& addresses, const std::vector<std::string>& policies);
  void removeSource(uint32_t id);
  // Puts a source under the limit with that number.
  void limitSource(uint32_t id, uint32_t number);
  void setSourceHost(const std::vector<Address>& host);
  std::vector<RuleCounters> sourceCounters(uint32_t id, size_t policy);
  // The limit with that number (limit/limit_book.h): bytes a second out of the namespace and into it, 0 for no limit.
  void setLimit(uint32_t number, uint64_t outgoing, uint64_t incoming);
  // Puts `count` ports from `first` on under that limit.
  void limitPorts(uint32_t first, uint32_t count, uint32_t number);
  // How many datagrams that limit has cost, outgoing and incoming.
  std::pair<uint64_t, uint64_t> datagramsDropped(uint32_t number) {
    LimitPair& pair = shared_.limits.of(number);
    return {pair.outgoing.dropped(), pair.incoming.dropped()};
  }
  // Connections and flows out of the namespace. Any thread but the engine's: it blocks.
  std::vector<FlowReport> outboundFlows();
  // Open connections and flows of published ports. As above.
  std::vector<PortFlow> portFlows();

  // Child: the channel whose other end is the parent.
  void serveConnects(uint32_t id);
  void setPlan(std::string target, std::vector<Address> addresses, bool keepSource, Fd netns);
  void setClient(std::string target, std::string ip, bool keep, uint32_t mark);
  // Child: ReturnPaths::takeOver().
  void takeOverPaths(uint32_t mark);
  // Runs `task` with the DNS servers of container networks (child), or those for the host (parent), on their thread, and waits
  // for it. Not on the engine's.
  void withNameServers(const std::function<void(dns::Servers&)>& task);
  // Whether an event dnsQuery follows each query that a DNS server here has answered.
  void watchQueries(bool wanted);
  // Child: asks one of them as if `client` had; an event dnsAnswer with that id follows.
  void askName(uint32_t id, uint32_t network, std::string query, const Address& client);
  // When it returns the parent uses no route any more that was found before.
  void forgetPlans();
  // Both sides: the last port with that target is gone.
  void forgetPlan(const std::string& target);

  void onPacket(PacketChannel* channel, std::string_view data, std::vector<Fd> fds, bool lostFds) override;
  void onChannelClosed(PacketChannel* channel, const std::string& reason) override;

 private:
  // JavaScript never has that many channels.
  static constexpr uint32_t kFirstAdded = 0x80000000;

  // Returns the first one's loop.
  Loop& makeThreads(const EngineOptions& options);
  void log(const std::string& text);
  PortThread& homeOf(uint32_t id);
  std::shared_ptr<Port> makePort(PortOptions options);
  // Calls `then` on some thread when all earlier tasks of all threads are done.
  void afterAll(const std::function<void()>& then);
  // Has that thread call `question`, and waits for the result.
  template <typename Question>
  static auto ask(PortThread& thread, Question question);
  // … with a port, or null where it has none.
  template <typename T>
  T ask(uint32_t id, T (*question)(Port*));
  // The first thread: published ports may use the gateway namespace.
  void useGateway(GatewayOptions* options);
  // Has the DNS servers report to JavaScript, or not.
  void applyQueryWatch();
  // The first thread; null if there is no agent.
  void linkAgent(PacketChannel* channel);
  void replaceAgent(uint32_t agent, const std::string& reason);
  // Of a packet of the parent: false where it is invalid.
  bool serve(PacketChannel* channel, std::string_view packet, std::vector<Fd>* fds);
  // Null where the host's resolvers are not asked.
  NameServer* names() { return gateway_ ? &gateway_->names() : names_.get(); }

  EventSink& events_;
  bool oneHome_;
  bool stopped_ = false;
  Shared shared_;
  std::vector<std::unique_ptr<PortThread>> threads_;
  // The first thread's, as all from here on.
  Loop& loop_;
  ReturnPaths paths_;
  Dialer dialer_;
  std::unordered_map<uint32_t, PacketChannel*> channels_;
  AddressWatch* addressWatch_ = nullptr;
  // Its connections on other threads may outlive its end.
  std::unique_ptr<Gateway> gateway_;
  // Without a gateway.
  std::unique_ptr<NameServer> names_;
  AgentQueries queries_;
  std::shared_ptr<OrderedSockets> orders_;
  // In the child those of container networks, in the parent those for the host.
  dns::Servers nameServers_;
  bool watchesQueries_ = false;
  uint32_t agentChannel_ = 0;
  uint32_t servedChannel_ = 0;
  // Of the channels that the parent has added to that one.
  uint32_t nextAdded_ = kFirstAdded;
};

template <typename Question>
auto Engine::ask(PortThread& thread, Question question) {
  auto task = std::make_shared<std::packaged_task<decltype(question())()>>(std::move(question));
  auto answer = task->get_future();
  thread.loop().post([task] { (*task)(); });
  return answer.get();
}

}  // namespace rn
