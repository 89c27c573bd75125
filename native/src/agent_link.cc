#include "agent_link.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <algorithm>

#include "wire.h"

namespace {

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, name, &value, &length) == 0 ? value : -1;
}

// Why the descriptor is not what was asked for; null if it is.
const char* objection(int fd, const DialTarget& target) {
  if (target.type == SOCK_STREAM) {
    // Only TCP sockets answer this, and the state comes first (tcp(7)): one call instead of four, for each connection.
    unsigned char state = 0;
    socklen_t length = sizeof state;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &state, &length) != 0 || length != sizeof state) return "no TCP socket";
    if (state == TCP_LISTEN) return "a listening socket";
  } else {
    int domain = option(fd, SOL_SOCKET, SO_DOMAIN);
    if (domain != AF_INET && domain != AF_INET6) return "not an IP socket";
    if (option(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP) return "a socket of another protocol";
  }
  Address peer;
  peer.length = sizeof peer.v6;
  if (getpeername(fd, &peer.sa, &peer.length) != 0) {
    // A server that closed at once leaves a socket without a peer; what it sent before can still be read.
    return target.type == SOCK_STREAM && errno == ENOTCONN ? nullptr : "a socket that is not connected";
  }
  return peer.port() == target.port ? nullptr : "a socket that is connected to another port";
}

}  // namespace

void AgentLink::setChannel(PacketChannel* channel) {
  channel_ = channel;
  outgoing_.clear();
  inFlight_ = 0;
  // What the last agent left unanswered goes first, in the old order.
  std::vector<uint32_t> unanswered;
  for (auto& [id, entry] : dials_) {
    if (!entry.sent) continue;
    entry.sent = entry.inFlight = false;
    unanswered.push_back(id);
  }
  std::sort(unanswered.begin(), unanswered.end());
  line_.insert(line_.begin(), unanswered.begin(), unanswered.end());
  sendMore();
}

uint32_t AgentLink::request(Dial* dial, const DialTarget* target, const Address& source, uint32_t attempt) {
  uint32_t id = nextId_++;
  if (nextId_ == 0) nextId_ = 1;
  dials_.emplace(id, Entry{dial, target, source, attempt});
  line_.push_back(id);
  sendMore();
  return id;
}

void AgentLink::cancel(uint32_t id) {
  auto it = dials_.find(id);
  if (it == dials_.end()) return;
  landed(&it->second);
  dials_.erase(it);
  sendMore();
}

void AgentLink::failAll(int error, const std::string& message) {
  auto dials = std::move(dials_);
  dials_.clear();
  line_.clear();
  inFlight_ = 0;
  for (auto& [id, entry] : dials) entry.dial->onDialFailed(error, message);
}

void AgentLink::landed(Entry* entry) {
  if (entry->inFlight) inFlight_--;
  entry->inFlight = false;
}

void AgentLink::sendMore() {
  while (channel_ != nullptr && inFlight_ < kInFlight && !line_.empty()) {
    uint32_t id = line_.front();
    line_.pop_front();
    auto it = dials_.find(id);
    if (it == dials_.end()) continue;
    Entry& entry = it->second;
    wire::ConnectRequest request;
    request.id = id;
    request.target = entry.target->request;
    request.attempt = entry.attempt;
    std::string ip = entry.source.ip();
    request.sourceIP = ip;
    request.sourcePort = entry.source.port();
    entry.sent = entry.inFlight = true;
    inFlight_++;
    outgoing_ += wire::encodeConnect(request);
    if (outgoing_.size() > kMaxOutgoing) flush();
  }
}

void AgentLink::flush() {
  if (outgoing_.empty() || channel_ == nullptr) return;
  channel_->send(std::move(outgoing_), {});
  outgoing_.clear();
}

bool AgentLink::onPacket(std::string_view packet, std::vector<Fd> fds, bool lostFds) {
  std::vector<wire::Answer> answers;
  size_t sockets = 0;
  while (!packet.empty()) {
    wire::Answer answer;
    if (!wire::decodeAnswer(&packet, &answer)) return false;
    if (answer.kind == wire::Answer::Kind::connected) sockets++;
    answers.push_back(answer);
  }
  // Which of them are whose cannot be told then.
  if (sockets != fds.size() && !lostFds) fds.clear();
  auto fd = fds.begin();
  for (const wire::Answer& answer : answers) {
    bool connected = answer.kind == wire::Answer::Kind::connected;
    take(answer, connected && fd != fds.end() ? std::move(*fd++) : Fd(), lostFds);
  }
  sendMore();
  return true;
}

void AgentLink::take(const wire::Answer& answer, Fd fd, bool lostFds) {
  auto it = dials_.find(answer.id);
  // Not asked for, or given up meanwhile: the descriptor closes by itself.
  if (it == dials_.end() || !it->second.sent) return;
  if (answer.kind == wire::Answer::Kind::pending) {
    if (!it->second.inFlight) return;
    landed(&it->second);
    it->second.dial->onDialPending();
    return;
  }
  landed(&it->second);
  Entry entry = it->second;
  dials_.erase(it);

  if (answer.kind == wire::Answer::Kind::failed) {
    entry.dial->onDialFailed(answer.error, answer.message);
  } else if (!fd.valid() && lostFds) {
    entry.dial->onDialFailed(EMFILE, "no free file descriptor for the socket that the agent sent");
  } else if (!fd.valid()) {
    log_("the agent's answers and sockets do not match; the connection was ended");
    entry.dial->onDialFailed(EPROTO, "the agent sent no socket");
  } else if (const char* why = objection(fd.get(), *entry.target)) {
    log_(std::string("the agent sent ") + why + "; the connection was ended");
    entry.dial->onDialFailed(EPROTO, why);
  } else {
    entry.dial->onDialed(std::move(fd));
  }
}
