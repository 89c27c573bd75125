// DNS over a TCP connection of a client (RFC 7766): queries behind their lengths, answered in any order.
//
// Theory of operation. The client is hostile. At most kMaxOutstanding of its queries are asked at the same time, and
// none while more than kMaxUnsent bytes of answers wait for it; until then nothing is read from it. An answer that comes then ends it. A query of more
// than kMaxQuery bytes ends the connection, and so do kIdleMs since the last query that was complete, the last answer,
// and the last time that all answers were sent, so neither a slow sender nor a slow reader holds it for longer. A
// client that has sent all its queries (shutdown(2)) still gets the answers.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "dns/length_prefixed.h"
#include "loop/loop.h"
#include "system/fd.h"

namespace rn {

class DnsStream : public Handler, public DeferredDelete {
 public:
  // Calls of a reply after the end of the connection have no effect; "" is no answer.
  using Reply = std::function<void(std::string reply)>;
  // Gets a query, and replies once, possibly before it returns.
  using Ask = std::function<void(std::string query, Reply reply)>;

  static constexpr size_t kMaxOutstanding = 32;
  static constexpr size_t kMaxUnsent = 64 * 1024;
  static constexpr uint64_t kIdleMs = 10 * 1000;

  // Serves a connected socket on the loop's thread. It deletes itself after it has ended, and has called `onEnd`.
  DnsStream(Loop& loop, Fd fd, Ask ask, std::function<void()> onEnd);
  // Ends it without onEnd().
  void close();
  // Ends it to make room for others.
  void evict() { end(); }
  // Whether it waits for the client's next query …
  bool isIdle() const { return outstanding_ == 0 && out_.empty(); }
  // … and until when.
  uint64_t deadline() const { return deadline_; }

  void onEvents(uint32_t events) override;
  void onAgain() override;
  void onStalled() override { end(); }

 private:
  void receive();
  void askAll();
  void onReply(const std::string& reply);
  // Sends what there is, and watches for what is wanted next.
  void update();
  void end();
  bool mayAsk() const { return outstanding_ < kMaxOutstanding && out_.size() < kMaxUnsent; }
  void extend() { deadline_ = loop_.now() + kIdleMs; }

  Loop& loop_;
  Fd fd_;
  Ask ask_;
  std::function<void()> onEnd_;
  dns::LengthPrefixedReader in_{dns::kMaxQuery};
  std::string out_;
  size_t outstanding_ = 0;
  uint64_t deadline_ = 0;
  uint32_t watched_ = 0;
  bool receivedAll_ = false;
  bool asking_ = false;
  // Null for replies that come after the end.
  std::shared_ptr<DnsStream*> self_;
};

}  // namespace rn
