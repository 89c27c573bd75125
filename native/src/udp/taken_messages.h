// The messages of a batch that belong to one flow: they leave together, in their order, whether or not others came in
// between.
#pragma once
#include "udp/udp_batch.h"

namespace rn {

class TakenMessages {
 public:
  // Returns whether it is the first.
  bool take(UdpBatch& batch, int message) {
    bool isFirst = first_ == UdpBatch::kNone;
    if (isFirst) first_ = message;
    batch.chain(last_, message);
    last_ = message;
    return isFirst;
  }
  // Calls send(start, n) for each run of them (UdpBatch::run()), until it returns false; none are left.
  template <typename Send>
  void drain(const UdpBatch& batch, Send send) {
    int next = first_;
    first_ = last_ = UdpBatch::kNone;
    while (next != UdpBatch::kNone) {
      int start = next;
      int n = batch.run(start);
      for (int k = 0; k < n; k++) next = batch[next].next;
      if (!send(start, n)) return;
    }
  }

 private:
  int first_ = UdpBatch::kNone;
  int last_ = UdpBatch::kNone;
};

// Reads the socket of `listener`, a Handler that many flows share. find(message) returns the flow of a message, or null for
// none; each flow gets its messages by take(), and then forwardTaken().
template <typename Flow, typename Listener, typename Find>
void readForFlows(Listener* listener, Find find) {
  UdpBatch& batch = sharedBatch();
  for (int round = 0; round < 4 && listener->fd.valid(); round++) {
    int n = batch.receive(listener->fd.get());
    if (n < 0) return;
    listener->progress();
    Flow* flows[UdpBatch::kMax];
    int count = 0;
    for (int i = 0; i < n; i++) {
      Flow* flow = find(batch[i]);
      if (flow != nullptr && flow->take(i)) flows[count++] = flow;
    }
    for (int i = 0; i < count; i++) flows[i]->forwardTaken();
    if (!batch.worthAnother(n)) return;
  }
}

}  // namespace rn
