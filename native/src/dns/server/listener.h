// A socket of a DNS server of a container network: datagrams, or connections, at its gateway address.
//
// Theory of operation. Clients are hostile. Datagrams are read up to kMaxReads in a turn, so that other sockets of the thread have
// theirs. A query is as long as kMaxQuery at most; longer ones are dropped. There are kMaxStreams connections at most, of one
// client kMaxOfClient; beyond that the client that has most loses the one that is idle for longest. See tcp_server.h for each. A reply that does not fit the socket's buffer is lost, as usual with UDP.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "dns/tcp_server.h"
#include "loop/loop.h"
#include "policy/rules/networks.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

namespace dns {

class Listener : public Handler, public DeferredDelete {
 public:
  // Calls of a reply after the end of the socket have no effect; "" is no answer.
  using Reply = std::function<void(std::string reply)>;
  // Gets a query, and replies once, possibly before it returns.
  using Ask = std::function<void(std::string query, const Address& client, bool tcp, Reply reply)>;

  static constexpr size_t kMaxStreams = 256;
  static constexpr size_t kMaxOfClient = 32;

  // Where there is no such address yet, datagrams come as soon as there is (ip(7), IP_FREEBIND). Invalid, with errno, on
  // failure.
  static Fd bindTo(const Address& address, int type);

  Listener(Loop& loop, Fd fd, int type, Ask ask);
  // Until then what clients send waits.
  void start();
  void close();

  void onEvents(uint32_t events) override;

 private:
  static constexpr int kMaxReads = 64;

  void receive();
  void accept();
  void makeRoom(const AddressNumber& client);
  void serve(Fd fd, const Address& client);

  Loop& loop_;
  Fd fd_;
  int type_;
  Ask ask_;
  std::map<DnsStream*, AddressNumber> streams_;
  std::map<AddressNumber, size_t> streamsOf_;
  // Null for replies that come after the end.
  std::shared_ptr<Listener*> self_;
};

}  // namespace dns

}  // namespace rn
