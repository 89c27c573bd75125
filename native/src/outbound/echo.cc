#include "outbound/echo.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>
#include <string>
#include <utility>

#include "outbound/frames/ip_header.h"
#include "system/error_queue.h"

namespace rn {

namespace {

// Longer than any program waits for a reply.
constexpr uint64_t kIdleMs = 10 * 1000;
constexpr uint64_t kScanMs = 1000;
constexpr int kRepliesAtOnce = 16;

// Both families have the header of an echo message alike (RFC 792; RFC 4443, 4.1).
constexpr size_t kHeader = sizeof(icmphdr);
static_assert(kHeader == sizeof(icmp6_hdr));
constexpr size_t kId = 4;
constexpr size_t kSequence = 6;

uint8_t requestType(sa_family_t family) { return family == AF_INET ? uint8_t(ICMP_ECHO) : uint8_t(ICMP6_ECHO_REQUEST); }

Fd makeSocket(sa_family_t family) {
  int protocol = family == AF_INET ? int(IPPROTO_ICMP) : int(IPPROTO_ICMPV6);
  Fd fd(socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
  if (fd.valid()) errorQueue::enable(fd.get(), family);
  return fd;
}

}  // namespace

class EchoFlow : public Handler, public DeferredDelete {
 public:
  EchoFlow(Echo* all, const Address& client, const Packet& request, Fd socket)
      : all_(all), client_(client), asked_(request.destination), id_(client.port()), socket_(std::move(socket)) {
    all_->deps_.context.loop.watch(socket_.get(), EPOLLIN, this);
    place_ = all_->byUse_.insert(all_->byUse_.end(), this);
  }

  FourTuple key() const { return {client_, asked_}; }

  void forward(const Packet& request) {
    use();
    // The kernel puts its own identifier and checksum in.
    std::string_view message = request.transport;
    if (::send(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return;
    int error = errno;
    if (reportErrors() == 0) all_->deps_.out.unreachable(request.ip, error, true);
  }

  void onEvents(uint32_t) override {
    if (isDeleted()) return;
    if (reportErrors() > 0) progress();
    char* buffer = all_->deps_.context.buffer.get();
    for (int i = 0; i < kRepliesAtOnce; i++) {
      ssize_t n = recv(socket_.get(), buffer, Context::kBufferSize, MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) return;
      progress();
      if (n < ssize_t(kHeader)) continue;
      use();
      std::string_view reply(buffer, size_t(n));
      all_->deps_.out.echoReply({asked_, client_, id_, number(reply, kSequence)}, reply.substr(kHeader));
    }
  }

  const Address& client() const { return client_; }
  bool isOver(uint64_t now) const { return now - used_ >= kIdleMs; }

  void end() {
    all_->deps_.context.loop.unwatch(this);
    all_->byUse_.erase(place_);
    socket_.reset();
    all_->deps_.context.loop.deleteLater(this);
  }

  static uint16_t number(std::string_view message, size_t at) {
    uint16_t value;
    memcpy(&value, message.data() + at, sizeof value);
    return ntohs(value);
  }

 private:
  int reportErrors() {
    return errorQueue::take(socket_.get(), [this](const errorQueue::Entry& entry) {
      if (entry.sent.size() < kHeader) return;
      // The program finds its request by its own identifier.
      std::string quoted(entry.sent);
      uint16_t id = htons(id_);
      memcpy(&quoted[kId], &id, sizeof id);
      char header[ip::kMaxHeader];
      uint8_t protocol = asked_.family() == AF_INET ? uint8_t(IPPROTO_ICMP) : uint8_t(IPPROTO_ICMPV6);
      size_t size = ip::writeHeader(header, {client_, asked_, protocol, quoted.size(), 0}, nullptr);
      all_->deps_.out.unreachable(std::string(header, size).append(quoted), entry.error, true);
    });
  }

  void use() {
    used_ = all_->deps_.context.loop.now();
    all_->byUse_.splice(all_->byUse_.end(), all_->byUse_, place_);
  }

  Echo* all_;
  // With the program's identifier as port.
  Address client_;
  Address asked_;
  uint16_t id_;
  Fd socket_;
  uint64_t used_ = 0;
  std::list<EchoFlow*>::iterator place_;
};

void Echo::onPacket(const Packet& packet) {
  if (packet.protocol != IPPROTO_ICMP && packet.protocol != IPPROTO_ICMPV6) return;
  if (packet.transport.size() < kHeader || uint8_t(packet.transport[0]) != requestType(packet.family())) return;
  Destination destination = deps_.egress.find(packet.source, packet.destination, IPPROTO_ICMP);
  if (destination.kind != Destination::Kind::host) {
    deps_.out.unreachable(packet.ip, destination.error, true);
  } else if (destination.address.isLoopback()) {
    deps_.out.echoReply({packet.destination, packet.source, packet.at16(kId), packet.at16(kSequence)},
                        packet.transport.substr(kHeader));
  } else if (EchoFlow* flow = flowFor(packet, destination)) {
    flow->forward(packet);
  }
}

EchoFlow* Echo::flowFor(const Packet& request, const Destination& destination) {
  Address client = request.source;
  client.setPort(request.at16(kId));
  auto it = flows_.find(FourTuple(client, request.destination));
  if (it != flows_.end()) return it->second;
  if ((flows_.size() >= kMaxFlows || !deps_.context.fds.makeRoom(this, 1)) && !evictOne()) return nullptr;
  Fd socket = makeSocket(request.family());
  if (!socket.valid()) {
    if (errno == EACCES && !std::exchange(hasComplained_, true)) {
      deps_.context.log(
          "programs inside get no answer to ping: this host does not permit it "
          "(hint: sysctl net.ipv4.ping_group_range=\"0 2147483647\")");
    }
    return nullptr;
  }
  if (connect(socket.get(), &destination.address.sa, destination.address.length) != 0) {
    if (!sockets::isShortage(errno)) deps_.out.unreachable(request.ip, errno, true);
    return nullptr;
  }
  if (flows_.empty()) {
    deps_.context.fds.setEvictable(this, true);
    deps_.context.loop.wantTicks(true);
  }
  deps_.context.fds.acquire(this, 1);
  auto* flow = new EchoFlow(this, client, request, std::move(socket));
  flows_.emplace(flow->key(), flow);
  return flow;
}

void Echo::remove(EchoFlow* flow) {
  flows_.erase(flow->key());
  flow->end();
  deps_.context.fds.release(this, 1);
  if (!flows_.empty()) return;
  deps_.context.fds.setEvictable(this, false);
  deps_.context.loop.wantTicks(false);
}

void Echo::endOf(const Address& client) {
  std::list<EchoFlow*> all = byUse_;
  for (EchoFlow* flow : all) {
    if (flow->client().ipBytes() == client.ipBytes()) remove(flow);
  }
}

bool Echo::evictOne() {
  if (byUse_.empty()) return false;
  remove(byUse_.front());
  return true;
}

void Echo::tick() {
  uint64_t now = deps_.context.loop.now();
  if (now < nextScan_) return;
  nextScan_ = now + kScanMs;
  while (!byUse_.empty() && byUse_.front()->isOver(now)) remove(byUse_.front());
}

void Echo::close() {
  while (evictOne()) continue;
}

}  // namespace rn
