#include "connect/agent_link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <algorithm>
#include <utility>

#include "connect/wire.h"
#include "loop/closer.h"

namespace rn {

namespace {

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

// Where struct tcp_info of linux/tcp.h, which cannot be included beside netinet/tcp.h, has tcpi_segs_in.
constexpr socklen_t kSegmentsIn = 140;

// Whether the socket was connected once: it has received segments. Disconnecting it (connect(2), AF_UNSPEC) resets their
// number.
bool wasConnected(int fd) {
  char info[256] = {};
  socklen_t length = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length) != 0 || length < kSegmentsIn + 4) return false;
  uint32_t segments = 0;
  memcpy(&segments, info + kSegmentsIn, sizeof segments);
  return segments > 0;
}

// Why the descriptor is not a TCP socket that is connected to that port; null if it is.
const char* tcpObjection(int fd, uint16_t port) {
  // Other protocols are similar (MPTCP, SMC), or built on TCP.
  if (option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_TCP) return "no TCP socket";
  // Raw sockets do not have this option. The first byte is the state (tcp(7)).
  unsigned char state = 0;
  socklen_t length = sizeof state;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &length) != 0 || length != sizeof state) return "no TCP socket";
  if (state == TCP_LISTEN) return "a listening socket";
  if (state == TCP_SYN_SENT || state == TCP_SYN_RECV) return "a socket that is not connected yet";
  Address peer;
  peer.length = sizeof peer.v6;
  if (getpeername(fd, &peer.sa, &peer.length) != 0) {
    // If the server closed at once, the socket has no peer; what it sent before can still be read.
    return state == TCP_CLOSE && wasConnected(fd) ? nullptr : "a socket that is not connected";
  }
  return peer.port() == port ? nullptr : "a socket that is connected to another port";
}

const char* udpObjection(int fd, uint16_t port) {
  // A raw socket may have the protocol, too.
  if (option(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM || option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP) {
    return "a socket of another protocol";
  }
  Address peer;
  peer.length = sizeof peer.v6;
  if (getpeername(fd, &peer.sa, &peer.length) != 0) return "a socket that is not connected";
  if (peer.family() != AF_INET && peer.family() != AF_INET6) return "not an IP socket";
  return peer.port() == port ? nullptr : "a socket that is connected to another port";
}

// Why the descriptor is not what was requested; null if it is.
const char* objection(int fd, const DialTarget& target) {
  return target.type == SOCK_STREAM ? tcpObjection(fd, target.port) : udpObjection(fd, target.port);
}

}  // namespace

void AgentLink::setChannel(PacketChannel* channel, const std::shared_ptr<AgentTrust>& trust) {
  channel_ = channel;
  outgoing_.clear();
  if (channel != nullptr) {
    trust_ = trust;
    std::vector<Fd> page;
    page.push_back(pooled_.restart());
    if (page.front().valid()) channel->send(wire::encodeRequest({wire::kEpoch}), std::move(page));
  }
  for (size_t& inFlight : inFlight_) inFlight = 0;
  // Requests that the last agent did not answer go first, in their order.
  std::vector<uint32_t> unanswered;
  for (auto& [id, entry] : dials_) {
    if (!entry.sent) continue;
    entry.sent = entry.inFlight = false;
    unanswered.push_back(id);
  }
  std::sort(unanswered.begin(), unanswered.end());
  for (auto id = unanswered.rbegin(); id != unanswered.rend(); id++) {
    queues_[queueOf(dials_.at(*id).target)].push_front(*id);
  }
  sendMore();
}

void AgentLink::distrust(AgentTrust* trust) {
  if (trust == trust_.get()) pooled_.end();
  if (!trust->cooperates.exchange(false)) return;
  log_("a program inside changes the sockets that the agent has made; they are relayed without splice(2) from now on");
}

uint32_t AgentLink::request(Dial* dial, const DialTarget* target, const Address& source, uint32_t attempt) {
  uint32_t id = nextId_++;
  if (nextId_ == 0) nextId_ = 1;
  if (!ticks_) loop_.wantTicks(ticks_ = true);
  Entry entry{dial, target, source, attempt};
  using Result = ParentDials::Result;
  if (attempt == 0) {
    Fd fd;
    Maker maker = Maker::pool;
    Result result = Result::no;
    if (queueOf(target) == kTcp) {
      // Another thread may have noticed.
      if (!trust_->cooperates) pooled_.end();
      result = pooled_.dial(id, *target, source, &fd);
    }
    if (result == Result::no) {
      maker = Maker::gateway;
      result = inbound_.dial(id, *target, source, &fd);
    }
    if (result == Result::connected) {
      hand(dial, std::move(fd), maker);
      return 0;
    }
    if (result == Result::pending) entry.maker = maker;
  }
  dials_.emplace(id, entry);
  if (entry.maker == Maker::agent) enqueue(id, target);
  return id;
}

void AgentLink::hand(Dial* dial, Fd fd, Maker maker) {
  dial->throughGateway = maker == Maker::gateway;
  dial->onDialed(std::move(fd));
}

void AgentLink::onBlocked() {
  inbound_.end();
  distrust(trust_.get());
}

void AgentLink::enqueue(uint32_t id, const DialTarget* target) {
  queues_[queueOf(target)].push_back(id);
  sendMore();
}

// The agent tries again where it failed.
void AgentLink::onMade(uint32_t id, Fd fd) {
  auto it = dials_.find(id);
  if (it == dials_.end()) return;
  Maker maker = std::exchange(it->second.maker, Maker::agent);
  if (!fd.valid()) {
    it->second.seconds = 0;
    enqueue(id, it->second.target);
    return;
  }
  Dial* dial = it->second.dial;
  dials_.erase(it);
  hand(dial, std::move(fd), maker);
}

void AgentLink::cancelOwn(uint32_t id, const Entry& entry) {
  if (entry.maker == Maker::pool) pooled_.cancel(id);
  if (entry.maker == Maker::gateway) inbound_.cancel(id);
}

void AgentLink::cancel(uint32_t id) {
  auto it = dials_.find(id);
  if (it == dials_.end()) return;
  cancelOwn(id, it->second);
  noLongerInFlight(&it->second);
  dials_.erase(it);
  sendMore();
}

void AgentLink::failAll(int error, const std::string& message) {
  auto dials = std::move(dials_);
  dials_.clear();
  for (auto& queue : queues_) queue.clear();
  for (size_t& inFlight : inFlight_) inFlight = 0;
  for (auto& [id, entry] : dials) {
    if (entry.maker != Maker::agent) dials_.emplace(id, entry);
    else entry.dial->onDialFailed(error, message);
  }
}

void AgentLink::tick() {
  if (!ticks_ || ++tick_ % kTicksPerSecond != 0) return;
  pooled_.second();
  inbound_.second();
  if (dials_.empty() && pooled_.idle() && inbound_.idle()) {
    loop_.wantTicks(ticks_ = false);
    return;
  }
  std::vector<uint32_t> ids;
  for (auto& [id, entry] : dials_) ids.push_back(id);
  for (uint32_t id : ids) countSecond(id);
  sendMore();
}

// One more second has passed.
void AgentLink::countSecond(uint32_t id) {
  auto it = dials_.find(id);
  if (it == dials_.end()) return;
  Entry& entry = it->second;
  int most = entry.inFlight ? kMaxAnswerSeconds : kMaxConnectSeconds;
  bool waits = !entry.sent && entry.maker == Maker::agent;
  if (waits || ++entry.seconds <= most) {
    // A client that waits that long may close.
    entry.dial->onDialPending();
    return;
  }
  cancelOwn(id, entry);
  const char* why = entry.inFlight ? "the agent does not answer" : "connecting takes too long";
  int error = entry.inFlight ? EPIPE : ETIMEDOUT;
  noLongerInFlight(&entry);
  Dial* dial = entry.dial;
  dials_.erase(it);
  dial->onDialFailed(error, why);
}

void AgentLink::noLongerInFlight(Entry* entry) {
  if (entry->inFlight) inFlight_[queueOf(entry->target)]--;
  entry->inFlight = false;
}

void AgentLink::sendMore() {
  sendMore(kTcp);
  sendMore(kUdp);
}

void AgentLink::sendMore(Queue queue) {
  while (channel_ != nullptr && inFlight_[queue] < kInFlight[queue] / threads_ && !queues_[queue].empty()) {
    uint32_t id = queues_[queue].front();
    queues_[queue].pop_front();
    auto it = dials_.find(id);
    if (it == dials_.end()) continue;
    Entry& entry = it->second;
    wire::Request request;
    request.id = id;
    request.target = *entry.target->request;
    request.port = entry.target->port;
    request.attempt = entry.attempt;
    std::string ip = entry.source.ip();
    request.sourceIP = ip;
    request.sourcePort = entry.source.port();
    entry.sent = entry.inFlight = true;
    entry.seconds = 0;
    inFlight_[queue]++;
    outgoing_ += wire::encodeRequest(request);
    if (outgoing_.size() > kMaxOutgoing) flush();
  }
}

void AgentLink::flush() {
  inbound_.flush();
  if (channel_ == nullptr) return;
  pooled_.appendRequests(&outgoing_);
  if (outgoing_.empty()) return;
  channel_->send(std::move(outgoing_), {});
  outgoing_.clear();
}

bool AgentLink::onPacket(std::string_view packet, std::vector<Fd> fds, bool lostFds) {
  bool usual = fds.size() <= PacketChannel::kUsualFds || pooled_.awaitsSockets();
  bool valid = usual && handleAnswers(packet, &fds, lostFds);
  closer::close(std::move(fds));
  return valid;
}

bool AgentLink::handleAnswers(std::string_view packet, std::vector<Fd>* fds, bool lostFds) {
  std::vector<wire::Answer> answers;
  size_t sockets = 0;
  while (!packet.empty()) {
    wire::Answer answer;
    if (!wire::decodeAnswer(&packet, &answer)) return false;
    if (answer.kind == wire::Answer::Kind::sockets) {
      return answers.empty() && packet.empty() && pooled_.onSockets(answer.id, std::exchange(*fds, {}));
    }
    if (answer.kind == wire::Answer::Kind::connected) sockets++;
    answers.push_back(answer);
  }
  // If not, it is unknown which socket belongs to which answer.
  bool match = sockets == fds->size() || lostFds;
  size_t next = 0;
  Fd none;
  for (const wire::Answer& answer : answers) {
    if (answer.kind == wire::Answer::Kind::route) {
      pooled_.onRoute(answer);
      continue;
    }
    bool has = answer.kind == wire::Answer::Kind::connected && match && next < fds->size();
    handleAnswer(answer, has ? &(*fds)[next++] : &none, lostFds);
  }
  sendMore();
  return true;
}

void AgentLink::handleAnswer(const wire::Answer& answer, Fd* fd, bool lostFds) {
  auto it = dials_.find(answer.id);
  // Not requested, or cancelled meanwhile.
  if (it == dials_.end() || !it->second.sent) return;
  if (answer.kind == wire::Answer::Kind::pending) {
    if (!it->second.inFlight) return;
    noLongerInFlight(&it->second);
    it->second.dial->onDialPending();
    return;
  }
  noLongerInFlight(&it->second);
  Entry entry = it->second;
  dials_.erase(it);

  if (answer.kind == wire::Answer::Kind::failed) {
    entry.dial->onDialFailed(answer.error, answer.message);
  } else if (!fd->valid() && lostFds) {
    entry.dial->onDialFailed(EMFILE, "no free file descriptor for the socket that the agent sent");
  } else if (!fd->valid()) {
    log_("the agent's answers and sockets do not match; the connection was ended");
    entry.dial->onDialFailed(EPROTO, "the agent sent no socket");
  } else if (const char* why = objection(fd->get(), *entry.target)) {
    log_(std::string("the agent sent ") + why + "; the connection was ended");
    entry.dial->onDialFailed(EPROTO, why);
  } else {
    hand(entry.dial, std::move(*fd), Maker::agent);
  }
}

}  // namespace rn
