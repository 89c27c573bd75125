#include "outbound/udp/outbound_flow.h"

#include <errno.h>
#include <utility>

#include "system/error_queue.h"
#include "udp/datagram_limit.h"

namespace rn {

OutboundFlow::OutboundFlow(OutboundUdp* all, const Ends& ends, HostSources::Socket host)
    : all_(all),
      ends_(ends),
      host_(std::move(host)),
      limit_(all->deps_.egress.sources().limitOf(ends.client)),
      number_(all->deps_.context.shared.nextConnection++) {
  conversation_.used = begunAt_ = all_->deps_.context.loop.now();
  all_->deps_.context.loop.watch(host_.fd.get(), EPOLLIN, this);
  reportFlow(all_->deps_.context, Event::Kind::outboundOpened, report());
}

void OutboundFlow::forwardTaken() {
  taken_.drain(sharedBatch(), [this](int start, int n) {
    // It may have been evicted for a later message of the batch.
    if (isDeleted()) return false;
    forward(start, n);
    return true;
  });
}

void OutboundFlow::forward(int start, int n) {
  UdpBatch& batch = sharedBatch();
  Context& context = all_->deps_.context;
  conversation_.used = context.loop.now();
  if (context.isLimited) n = withinLimits(batch, start, n, outgoingLimits(context.shared.limitOfStack, limit_));
  auto [bytes, datagrams] = batch.tally(start, n);
  conversation_.questions += datagrams;
  touch();
  if (n == 0) return;
  lastLength_ = batch[start].segment != 0 ? batch[start].segment : batch[start].length;
  // Before it is sent: a program that has the answer may read the counters.
  all_->counters_.in += bytes;
  sent_ += bytes;
  int error = batch.send(host_.fd.get(), start, n, nullptr, nullptr);
  if (error == 0) return;
  // The error may be an earlier datagram's: then this one was not sent.
  if (reportErrors() > 0) error = batch.send(host_.fd.get(), start, n, nullptr, nullptr);
  if (error != 0 && reportErrors() == 0) refused(error);
}

void OutboundFlow::onEvents(uint32_t events) {
  if (isDeleted() || !host_.fd.valid()) return;
  for (int round = 0; round < 4; round++) {
    int n = sharedBatch().receive(host_.fd.get());
    if (n < 0) {
      // Errors of the network are in a queue of their own as well.
      bool failed = errno != EAGAIN && errno != EINTR;
      if ((failed || (events & EPOLLERR)) && reportErrors() > 0) progress();
      if (!failed) return;
      continue;
    }
    progress();
    sendReplies(n);
    if (!sharedBatch().worthAnother(n)) return;
  }
}

void OutboundFlow::sendReplies(int n) {
  UdpBatch& batch = sharedBatch();
  TakenMessages replies;
  for (int i = 0; i < n; i++) {
    // The socket may have had others before it was connected.
    if (!(FourTuple(batch[i].from, ends_.client) == FourTuple(ends_.destination, ends_.client))) continue;
    replies.take(batch, i);
    conversation_.answers += batch[i].datagrams();
  }
  Context& context = all_->deps_.context;
  conversation_.used = context.loop.now();
  touch();
  UdpOut& out = all_->out_;
  replies.drain(batch, [&](int start, int count) {
    if (context.isLimited)
      count = withinLimits(batch, start, count, incomingLimits(context.shared.limitOfStack, limit_));
    if (count == 0) return true;
    uint64_t bytes = batch.tally(start, count).bytes;
    all_->counters_.out += bytes;
    received_ += bytes;
    iovec parts[UdpBatch::kMax];
    for (int i = start, k = 0; k < count; i = batch[i].next, k++) {
      parts[k] = {const_cast<char*>(batch[i].data), batch[i].length};
    }
    size_t segment = count > 1 ? batch[start].length : batch[start].segment;
    out.add({ends_.asked, ends_.client}, parts, size_t(count), segment);
    return true;
  });
  out.flush();
}

int OutboundFlow::reportErrors() {
  return errorQueue::take(host_.fd.get(), [this](const errorQueue::Entry& entry) {
    all_->refuse(ends_.client, ends_.asked, {lastLength_, entry.error, entry.soft});
  });
}

void OutboundFlow::refused(int error) { all_->refuse(ends_.client, ends_.asked, {lastLength_, error}); }

FlowReport OutboundFlow::report() const {
  FlowReport flow;
  flow.protocol = IPPROTO_UDP;
  flow.connection = number_;
  flow.client = ends_.client;
  flow.destination = ends_.asked;
  flow.host = ends_.destination;
  flow.sent = sent_;
  flow.received = received_;
  flow.age = all_->deps_.context.loop.now() - begunAt_;
  if (conversation_.answers == 0) flow.state = FlowState::unanswered;
  return flow;
}

bool OutboundFlow::isOver(uint64_t now) const { return conversation_.isOver(now, all_->deps_.context.timeouts); }

void OutboundFlow::end() {
  if (isDeleted()) return;
  all_->deps_.context.loop.unwatch(this);
  host_.fd.reset();
  all_->sources_.release(ends_.client, host_);
  reportFlow(all_->deps_.context, Event::Kind::outboundClosed, report());
  all_->deps_.context.loop.deleteLater(this);
}

void OutboundFlow::touch() {
  std::list<OutboundFlow*>* list = conversation_.isStream() ? &all_->streams_ : &all_->young_;
  list->splice(list->end(), *list_, place_);
  list_ = list;
}

void OutboundFlow::link() {
  list_ = &all_->young_;
  place_ = list_->insert(list_->end(), this);
}

}  // namespace rn
