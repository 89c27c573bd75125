#include "udp/udp_flow.h"

#include <errno.h>

#include "system/error_queue.h"
#include "udp/datagram_limit.h"

namespace rn {

namespace {

// How long a flow that no server accepted is remembered, so that each of its datagrams does not ask the agent again.
constexpr uint64_t kRefusedMs = 1000;
// How long a refusal may take.
constexpr uint64_t kSettleMs = 3500;
// How long a refusal counts for other flows.
constexpr uint64_t kHintMs = 1000;

}  // namespace

int familyIndex(const Address& client) {
  return client.family() == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&client.v6.sin6_addr) ? 1 : 0;
}

UdpFlow::UdpFlow(UdpPort* port, UdpPort::Listener* listener, const Ends& ends)
    : port_(port),
      listener_(listener),
      key_(ends.key),
      client_(ends.client),
      asked_(ends.asked),
      kept_(&port->context_.shared.keptDatagrams) {
  port_->context_.fds.acquire(port_, 1);
  port_->context_.load++;
  number_ = port_->context_.shared.nextConnection++;
  begunAt_ = port_->context_.loop.now();
  hinted_ = attempt_ = port_->firstAttempt(client_);
  dial();
}

void UdpFlow::forwardTaken() {
  taken_.drain(sharedBatch(), [this](int start, int n) {
    // By what came before it.
    if (isDeleted()) return false;
    forward(start, n);
    return true;
  });
}

void UdpFlow::forward(int start, int n) {
  UdpBatch& batch = sharedBatch();
  Context& context = port_->context_;
  conversation_.used = context.loop.now();
  if (context.isLimited)
    n = withinLimits(batch, start, n, incomingLimits(context.shared.limitOfStack, port_->ownLimit()));
  auto [bytes, datagrams] = batch.tally(start, n);
  conversation_.questions += datagrams;
  touch();
  if (state_ == State::refused || n == 0) return;
  if (lost_) restart();
  if (!settled_) {
    keep(start, n);
    if (state_ == State::dialing) return;
  }
  int error = batch.send(child_.get(), start, n, nullptr, nullptr);
  // The error of an earlier datagram (ICMP): this one was not sent.
  if (error == ECONNREFUSED && settled_) {
    restart();
    keep(start, n);
    return;
  }
  port_->counters_.in += bytes;
  in_ += bytes;
  if (!settled_) checkForRefusal(error);
}

void UdpFlow::onDialed(Fd fd) {
  dialId_ = 0;
  if (uint32_t known = port_->firstAttempt(client_); known > attempt_ && !settled_) {
    hinted_ = attempt_ = known;
    dial();
    return;
  }
  child_ = std::move(fd);
  state_ = State::open;
  touch();
  sockets::prepareDatagrams(child_.get());
  if (!reported_) {
    reported_ = true;
    port_->counters_.open++;
    port_->counters_.opened++;
    source_ = port_->counters_.countSource(client_, child_.get());
    report(Event::Kind::connectionOpened, "");
  }
  port_->context_.loop.watch(child_.get(), EPOLLIN, this);
  openedAt_ = port_->context_.loop.now();
  sendKept();
}

void UdpFlow::sendKept() {
  int error = 0;
  for (KeptDatagrams::Datagram& kept : kept_) {
    if (!kept.counted) {
      kept.counted = true;
      port_->counters_.in += kept.data.size();
      in_ += kept.data.size();
    }
    if (error != ECONNREFUSED) {
      error = UdpBatch::sendOne(child_.get(), kept.data.data(), kept.data.size(), kept.segment, nullptr, nullptr);
    }
  }
  checkForRefusal(error);
}

void UdpFlow::onDialFailed(int error, std::string_view message) {
  dialId_ = 0;
  bool tryAgain = error == EMFILE || error == ENFILE;
  port_->hints_[familyIndex(client_)].until = 0;
  if (!tryAgain && hinted_ > 0) {
    hinted_ = attempt_ = 0;
    dial();
    return;
  }
  refuse(tryAgain ? 0 : kRefusedMs, error, std::string(message));
}

void UdpFlow::onEvents(uint32_t events) {
  if (isDeleted() || !child_.valid()) return;
  for (int round = 0; round < 4; round++) {
    int n = sharedBatch().receive(child_.get());
    if (n < 0) {
      if (errno == ECONNREFUSED && settled_) lost_ = true;
      if (errno == ECONNREFUSED && !settled_) onRefused();
      // Pending errors that reading does not clear: another holder of the socket must have set options on it.
      else if (errno == EAGAIN && (events & EPOLLERR) && round == 0)
        errorQueue::take(child_.get(), [](const errorQueue::Entry&) {});
      return;
    }
    progress();
    settle();
    sendReplies(n);
    if (!sharedBatch().worthAnother(n)) return;
  }
}

void UdpFlow::sendReplies(int n) {
  UdpBatch& batch = sharedBatch();
  Context& context = port_->context_;
  conversation_.used = context.loop.now();
  conversation_.answers += batch.tally(0, n).datagrams;
  touch();
  bool known = !IN6_IS_ADDR_UNSPECIFIED(&asked_);
  for (int i = 0; i < n;) {
    int length = batch.run(i);
    int passed = length;
    if (context.isLimited)
      passed = withinLimits(batch, i, length, outgoingLimits(context.shared.limitOfStack, port_->ownLimit()));
    uint64_t bytes = batch.tally(i, passed).bytes;
    // Before it is sent: a client that has the answer may read the counters.
    port_->counters_.out += bytes;
    out_ += bytes;
    if (passed > 0) batch.send(listener_->fd.get(), i, passed, &client_, known ? &asked_ : nullptr);
    i += length;
  }
}

void UdpFlow::onStalled() {
  if (isDeleted()) return;
  port_->context_.log("a program inside keeps a UDP socket from being read; the flow of " + client_.text() +
                      " was ended");
  port_->remove(this);
}

bool UdpFlow::tick(uint64_t now) {
  if (state_ == State::refused) return now < forgetAt_;
  // On loopback a refusal is there as soon as the datagram is sent; farther away it may take a moment: a neighbour that
  // does not answer at once is asked again each second, three times (ip-sysctl, mcast_solicit).
  if (state_ == State::open && !settled_ && now - openedAt_ > kSettleMs) settle();
  return !conversation_.isOver(now, port_->context_.timeouts);
}

void UdpFlow::end() {
  if (isDeleted()) return;
  if (dialId_ != 0) port_->context_.agents.cancel(dialId_);
  closeChild();
  port_->context_.fds.release(port_, 1);
  port_->context_.load--;
  if (reported_) {
    port_->counters_.open--;
    report(Event::Kind::connectionClosed, "");
  }
  port_->context_.loop.deleteLater(this);
}

void UdpFlow::touch() {
  if (list_ == nullptr) return;
  std::list<UdpFlow*>* list = &port_->young_;
  if (state_ == State::dialing) list = &port_->dialing_;
  else if (conversation_.isStream()) list = &port_->streams_;
  list->splice(list->end(), *list_, place_);
  list_ = list;
}

void UdpFlow::link() {
  place_ = port_->dialing_.insert(port_->dialing_.end(), this);
  list_ = &port_->dialing_;
  touch();
}

void UdpFlow::tryNextAddress() {
  closeChild();
  // Addresses before the one that it began with were not tried yet.
  attempt_ = hinted_ > 0 ? 0 : attempt_ + 1;
  hinted_ = 0;
  dial();
}

void UdpFlow::dialAgain() {
  closeChild();
  dial();
}

void UdpFlow::dial() {
  state_ = State::dialing;
  touch();
  // It may be over when this returns.
  dialId_ = port_->dial(this, client_, attempt_);
}

void UdpFlow::keep(int start, int n) {
  UdpBatch& batch = sharedBatch();
  for (int i = start, k = 0; k < n; i = batch[i].next, k++) {
    kept_.keep(batch[i].data, batch[i].length, batch[i].segment, state_ == State::open);
  }
}

void UdpFlow::settle() {
  settled_ = true;
  kept_.clear();
}

void UdpFlow::checkForRefusal(int error) {
  socklen_t length = sizeof error;
  if (error != ECONNREFUSED) getsockopt(child_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error == ECONNREFUSED) onRefused();
}

void UdpFlow::onRefused() {
  if (throughGateway) {
    port_->leaveGateway(familyIndex(client_));
    return;
  }
  UdpPort::Hint& hint = port_->hints_[familyIndex(client_)];
  uint64_t now = port_->context_.loop.now();
  uint32_t refused = attempt_;
  bool isNews = (now < hint.until) == (hinted_ > 0);
  hint = hinted_ > 0 ? UdpPort::Hint{} : UdpPort::Hint{refused + 1, now + kHintMs};
  tryNextAddress();
  if (isNews) port_->advanceFlows(familyIndex(client_), refused);
}

void UdpFlow::restart() {
  closeChild();
  hinted_ = attempt_ = port_->firstAttempt(client_);
  settled_ = lost_ = false;
  dial();
}

void UdpFlow::refuse(uint64_t forMs, int error, std::string reason) {
  port_->counters_.countRefusal(error);
  report(Event::Kind::connectionRefused, std::move(reason));
  settle();
  state_ = State::refused;
  touch();
  forgetAt_ = port_->context_.loop.now() + forMs;
}

void UdpFlow::closeChild() {
  if (!child_.valid()) return;
  port_->context_.loop.unwatch(this);
  child_.reset();
}

PortFlow UdpFlow::flow() const {
  FlowState state = state_ != State::open        ? FlowState::connecting
                    : conversation_.answers == 0 ? FlowState::unanswered
                                                 : FlowState::open;
  return {port_->id_, IPPROTO_UDP, number_, client_, in_, out_, port_->context_.loop.now() - begunAt_, state, source_};
}

void UdpFlow::report(Event::Kind kind, std::string reason) {
  if (!port_->context_.watchConnections || port_->isDirect()) return;
  Event event{kind};
  event.id = port_->id_;
  event.connection = number_;
  event.in = in_;
  event.out = out_;
  event.text = client_.text();
  event.data = std::move(reason);
  port_->context_.events.emit(std::move(event));
}

}  // namespace rn
