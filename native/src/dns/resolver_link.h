// A socket to a resolver, with the queries that wait for their answers on it: a connected UDP socket, or a TCP
// connection.
//
// Theory of operation. Each query gets a random id that is free on its socket. The kernel drops datagrams from any
// other address than the resolver's, since the socket is connected, and chooses its port at random; so a forged answer
// has to guess both. A resolver that refuses is reported by the socket (ip(7)); then all queries on it fail at once.
//
// Over TCP queries are pipelined, each behind its length in two bytes, and answers come in any order (RFC 7766).
#pragma once
#include <sys/random.h>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dns/length_prefixed.h"
#include "loop/loop.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

namespace dns {

// Of the host.
struct Resolver {
  Address address;
  // As Loop::now(): when it answered last.
  uint64_t answeredAt = 0;
  // It did not answer. Until then others are asked first.
  bool failed = false;
  uint64_t restsUntil = 0;
};

// Numbers that nobody can guess.
class Random {
 public:
  uint16_t next();

 private:
  static constexpr size_t kCount = 128;
  uint16_t numbers_[kCount];
  size_t left_ = 0;
};

class ResolverLink : public Handler, public DeferredDelete {
 public:
  using Numbers = std::vector<uint64_t>;
  class Owner {
   public:
    virtual ~Owner() = default;
    // An answer with the id of that query. Returns whether it is accepted; else the query waits on.
    virtual bool onReply(ResolverLink* link, uint64_t number, std::string_view reply) = 0;
    // The link is closed; these queries have no answer.
    virtual void onLinkFailed(ResolverLink* link, const Numbers& numbers) = 0;
  };
  struct Use {
    Loop& loop;
    Owner& owner;
    Random& random;
    // The network namespace of its socket; -1 for that of this process.
    int netns = -1;
  };

  // Sends a query under a new id; its number is the owner's. Returns false where it cannot be sent.
  bool send(uint64_t number, const std::string& query);
  // Its answer is not awaited any more.
  void forget(uint64_t number);
  // No more calls of the owner.
  void close();

  size_t waiting() const { return numbers_.size(); }
  const std::shared_ptr<Resolver>& resolver() const { return resolver_; }
  // Has brought an answer.
  bool isProven() const { return proven_; }
  // As Loop::now(): when it was used last.
  uint64_t usedAt() const { return usedAt_; }

  void onStalled() override { fail(); }

 protected:
  ResolverLink(const Use& use, std::shared_ptr<Resolver> resolver) : use_(use), resolver_(std::move(resolver)) {}
  // Opens a socket and watches it.
  bool open(int type, uint32_t events);
  virtual bool transmit(const std::string& query) = 0;
  void take(std::string_view reply);
  void fail();

  Use use_;
  Fd fd_;

 private:
  std::shared_ptr<Resolver> resolver_;
  // By id.
  std::unordered_map<uint16_t, uint64_t> numbers_;
  bool proven_ = false;
  uint64_t usedAt_ = 0;
};

class UdpLink : public ResolverLink {
 public:
  // Null, with errno, on failure.
  static UdpLink* make(const Use& use, std::shared_ptr<Resolver> resolver);
  void onEvents(uint32_t events) override;

 private:
  using ResolverLink::ResolverLink;
  bool transmit(const std::string& query) override;
};

class StreamLink : public ResolverLink {
 public:
  static StreamLink* make(const Use& use, std::shared_ptr<Resolver> resolver);
  void onEvents(uint32_t events) override;

 private:
  using ResolverLink::ResolverLink;
  bool transmit(const std::string& query) override;
  void flush();

  LengthPrefixedReader in_{kMaxMessage};
  std::string out_;
  bool connected_ = false;
  bool watchesOut_ = true;
};

}  // namespace dns

}  // namespace rn
