// The return paths of UDP replies to clients whose addresses servers see, in the child's network namespace.
//
// Theory of operation. A flow's socket is bound to the client's address (sockets::bindTransparently), so the server's
// replies have to be routed back into this namespace, but no other packets: neither those to another port of that client,
// nor those after the flow has ended. A UDP server has one socket for all clients, so no mark can distinguish its packets
// (as with TCP, see child/source-address/source-addresses.ts); the kernel's policy routing can, by both ports and the
// client's address (ip-rule(8)):
//
//   rule    iif lo ipproto udp sport PORT dport CLIENT-PORT lookup TABLE        one for each such pair, and server address
//   route   local CLIENT dev lo src SERVER-ADDRESS table TABLE                  one for each flow
//
// `src` is the source address of an unconnected socket's replies: the address that the client sent to. Clients that share
// a port (peers of one protocol) share a rule, and a lookup in the table is as fast for many as for one; return_rules.h
// keeps many rules fast.
//
// A flow's rule and route are removed with it. The kernel reports each UDP socket that is destroyed (sock_diag(7),
// SKNLGRP_INET_UDP_DESTROY), wherever its last descriptor was; that is the end of a flow. The socket's cookie
// distinguishes it from a later one between the same ends. After lost reports, and in an agent that takes over from
// another one, a list of all sockets shows which flows exist.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "loop/loop.h"
#include "return_path/return_rules.h"
#include "system/fd.h"
#include "system/sockets.h"

namespace rn {

class ReturnPaths : public Handler {
 public:
  enum class Result {
    made,
    // That client's port has a return path to another address of the same server already, or can have none; another port
    // can.
    taken,
    // The kernel refused, or there are too many.
    failed,
  };
  using Log = std::function<void(const std::string&)>;

  ReturnPaths(Loop& loop, Log log) : loop_(loop), log_(std::move(log)) {}
  ~ReturnPaths() override = default;

  // Routes replies of `server` to the flow with this socket, for as long as the socket exists. `mark` is the mark of all
  // such sockets.
  Result add(int fd, const Address& server, uint32_t mark);

  // If another process has made paths: keeps those whose sockets still exist, and removes the others. Otherwise the first
  // add() does that. `mark` as there.
  void takeOver(uint32_t mark);

  void onEvents(uint32_t events) override;

 private:
  // Both ends; IPv6 addresses, or IPv4 ones in their first bytes.
  struct Flow {
    uint8_t family = 0;
    uint8_t client[16] = {};
    uint8_t server[16] = {};
    uint16_t clientPort = 0;
    uint16_t serverPort = 0;
    uint64_t cookie = 0;

    // The same for flows that differ in the server's address only.
    std::string key() const;
    // The same for flows that share a rule.
    std::string ruleKey() const;
    size_t addressLength() const;
    ReturnRules::Pair pair() const { return {family, serverPort, clientPort}; }
  };
  struct Path {
    uint32_t table;
    size_t flows;
  };

  bool start(uint32_t mark);
  // 0 or an errno.
  int openRoute();
  // Appends messages that remove the rules of other processes. Returns 0 or an errno.
  int findLeftoverRules(uint8_t family, std::string* removals);
  int removeLeftovers();
  int listSockets(std::unordered_map<std::string, Flow>* out);
  int insert(const Flow& flow);
  // Parses a message of sock_diag(7).
  static bool parse(std::string_view body, Flow* out);
  static void putRoute(const Flow& flow, uint32_t table, bool add, std::string* messages);
  void resynchronize(std::string* messages);
  // Removes the flow, and appends messages that remove its route and rule.
  void erase(const Flow& flow, std::string* messages);
  void report(const std::string& what, int error);

  Loop& loop_;
  Log log_;
  Fd route_;
  // Receives reports of destroyed sockets.
  Fd ends_;
  uint32_t mark_ = 0;
  bool reported_ = false;
  std::unordered_map<std::string, Flow> flows_;
  std::unordered_map<std::string, Path> paths_;
  ReturnRules rules_;
  std::vector<uint32_t> freeTables_;
  uint32_t tables_ = 0;
};

}  // namespace rn
