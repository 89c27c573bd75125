#include "return_path/return_paths.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink/netlink.h"
#include "netlink/netlink_message.h"

namespace rn {

namespace {
using netlink::MessageBuilder;

// The table after that of child/source-address/source-addresses.ts.
constexpr uint32_t kFirstTable = 0x72000001;
// Each rule makes the next change a little slower, as the kernel walks all of them.
constexpr size_t kMaxPaths = 4096;
constexpr size_t kMaxFlows = 64 * 1024;
constexpr int kReportsBuffer = 1 << 20;
constexpr int kReportsAtOnce = 64;
constexpr size_t kBytesAtOnce = 32 * 1024;
constexpr uint32_t kLoopback = 1;  // lo is the first device of every network namespace

// Sends messages that request no acknowledgement. Returns 0, or the first error.
int changeAtOnce(int fd, std::string_view messages) {
  ssize_t sent;
  do {
    sent = send(fd, messages.data(), messages.size(), 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return errno;
  // The kernel has queued its errors by now.
  int first = 0;
  char buffer[8192];
  for (;;) {
    ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return first != 0 || errno == EAGAIN ? first : errno;
    netlink::eachMessage(std::string_view(buffer, size_t(n)), [&](const nlmsghdr& header, std::string_view body) {
      nlmsgerr result;
      if (header.nlmsg_type != NLMSG_ERROR || body.size() < sizeof result) return;
      memcpy(&result, body.data(), sizeof result);
      if (first == 0) first = -result.error;
    });
  }
}

// Like changeAtOnce(), in pieces that fit a socket's buffer.
int change(int fd, std::string_view messages) {
  int first = 0;
  size_t start = 0, end = 0;
  auto flush = [&] {
    int error = end > start ? changeAtOnce(fd, messages.substr(start, end - start)) : 0;
    if (first == 0) first = error;
    start = end;
  };
  netlink::eachMessage(messages, [&](const nlmsghdr& header, std::string_view) {
    end += NLMSG_ALIGN(header.nlmsg_len);
    if (end - start >= kBytesAtOnce) flush();
  });
  flush();
  return first;
}
}  // namespace

size_t ReturnPaths::Flow::addressLength() const { return family == AF_INET ? 4 : 16; }

std::string ReturnPaths::Flow::key() const {
  std::string out(1, char(family));
  out.append(reinterpret_cast<const char*>(client), addressLength());
  out.append(reinterpret_cast<const char*>(&clientPort), 2);
  out.append(reinterpret_cast<const char*>(&serverPort), 2);
  return out;
}

std::string ReturnPaths::Flow::ruleKey() const {
  std::string out(1, char(family));
  out.append(reinterpret_cast<const char*>(server), addressLength());
  out.append(reinterpret_cast<const char*>(&clientPort), 2);
  out.append(reinterpret_cast<const char*>(&serverPort), 2);
  return out;
}

ReturnPaths::Result ReturnPaths::add(int fd, const Address& server, uint32_t mark) {
  if (!ends_.valid() && !start(mark)) return Result::failed;
  Address client;
  client.length = sizeof client.v6;
  Flow flow;
  socklen_t length = sizeof flow.cookie;
  if (getsockname(fd, &client.sa, &client.length) != 0 ||
      getsockopt(fd, SOL_SOCKET, SO_COOKIE, &flow.cookie, &length) != 0) {
    return Result::failed;
  }
  flow.family = uint8_t(client.family());
  flow.clientPort = client.port();
  flow.serverPort = server.port();
  bool v4 = client.family() == AF_INET;
  memcpy(flow.client, v4 ? static_cast<void*>(&client.v4.sin_addr) : &client.v6.sin6_addr, flow.addressLength());
  memcpy(flow.server, v4 ? static_cast<const void*>(&server.v4.sin_addr) : &server.v6.sin6_addr, flow.addressLength());

  if (flow.serverPort > ReturnRules::kMaxPort) return Result::failed;
  if (flow.clientPort > ReturnRules::kMaxPort) return Result::taken;
  auto known = flows_.find(flow.key());
  if (known != flows_.end()) {
    if (memcmp(known->second.server, flow.server, sizeof flow.server) != 0) return Result::taken;
    known->second.cookie = flow.cookie;
    return Result::made;
  }
  int error = insert(flow);
  if (error != 0 && error != ENOSPC) report("make a routing rule", error);
  return error == 0 ? Result::made : Result::failed;
}

int ReturnPaths::insert(const Flow& flow) {
  if (flows_.size() >= kMaxFlows) return ENOSPC;
  std::string messages;
  auto path = paths_.find(flow.ruleKey());
  bool isNew = path == paths_.end();
  if (isNew) {
    if (paths_.size() >= kMaxPaths) return ENOSPC;
    uint32_t table = kFirstTable + tables_;
    if (freeTables_.empty()) {
      tables_++;
    } else {
      table = freeTables_.back();
      freeTables_.pop_back();
    }
    path = paths_.emplace(flow.ruleKey(), Path{table, 0}).first;
  }
  path->second.flows++;
  flows_.emplace(flow.key(), flow);
  putRoute(flow, path->second.table, true, &messages);
  if (isNew) rules_.add(flow.pair(), path->second.table, &messages);
  int error = change(route_.get(), messages);
  if (error == 0) return 0;
  std::string undo;
  erase(flow, &undo);
  change(route_.get(), undo);
  return error;
}

void ReturnPaths::putRoute(const Flow& flow, uint32_t table, bool add, std::string* messages) {
  MessageBuilder message(messages, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0);
  rtmsg header{};
  header.rtm_family = flow.family;
  header.rtm_dst_len = uint8_t(8 * flow.addressLength());
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_HOST;
  header.rtm_type = RTN_LOCAL;
  message.put(header);
  message.attribute(RTA_DST, flow.client, flow.addressLength());
  message.attribute(RTA_OIF, kLoopback);
  message.attribute(RTA_TABLE, table);
  message.attribute(RTA_PREFSRC, flow.server, flow.addressLength());
}

void ReturnPaths::erase(const Flow& flow, std::string* messages) {
  auto path = paths_.find(flow.ruleKey());
  if (path == paths_.end()) return;
  uint32_t table = path->second.table;
  putRoute(flow, table, false, messages);
  if (--path->second.flows == 0) {
    rules_.remove(flow.pair(), table, messages);
    freeTables_.push_back(table);
    paths_.erase(path);
  }
  flows_.erase(flow.key());
}

void ReturnPaths::takeOver(uint32_t mark) {
  if (ends_.valid() || openRoute() != 0) return;
  std::string removals;
  for (uint8_t family : {AF_INET, AF_INET6}) findLeftoverRules(family, &removals);
  if (!removals.empty()) start(mark);
}

int ReturnPaths::openRoute() {
  if (route_.valid()) return 0;
  int raw = -1;
  if (int error = netlink::open(NETLINK_ROUTE, "", &raw)) return error;
  route_ = Fd(raw);
  return 0;
}

bool ReturnPaths::start(uint32_t mark) {
  mark_ = mark;
  int error = openRoute();
  // Opened before the list is read, so that no end is missed.
  Fd ends(error != 0 ? -1 : socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG));
  sockaddr_nl any{};
  any.nl_family = AF_NETLINK;
  // An unbound socket receives no reports.
  if (error == 0 && (!ends.valid() || bind(ends.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) != 0))
    error = errno;
  setsockopt(ends.get(), SOL_SOCKET, SO_RCVBUF, &kReportsBuffer, sizeof kReportsBuffer);
  for (int group : {SKNLGRP_INET_UDP_DESTROY, SKNLGRP_INET6_UDP_DESTROY}) {
    if (error == 0 && setsockopt(ends.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
      error = errno;
    }
  }
  std::unordered_map<std::string, Flow> living;
  if (error == 0) error = removeLeftovers();
  if (error == 0) error = listSockets(&living);
  if (error != 0) {
    report("watch UDP sockets", error);
    return false;
  }
  for (auto& [key, flow] : living) insert(flow);
  ends_ = std::move(ends);
  loop_.watch(ends_.get(), EPOLLIN, this);
  return true;
}

int ReturnPaths::findLeftoverRules(uint8_t family, std::string* removals) {
  std::string answers, request;
  {
    fib_rule_hdr header{};
    header.family = family;
    MessageBuilder(&request, RTM_GETRULE, NLM_F_DUMP).put(header);
  }
  if (int error = netlink::exchange(route_.get(), request, 1, &answers)) return error;
  ReturnRules::removeAll(family, answers, removals);
  return 0;
}

int ReturnPaths::removeLeftovers() {
  std::string removals;
  for (uint8_t family : {AF_INET, AF_INET6}) {
    if (int error = findLeftoverRules(family, &removals)) return error;
    std::string answers, request;
    {
      rtmsg header{};
      header.rtm_family = family;
      MessageBuilder(&request, RTM_GETROUTE, NLM_F_DUMP).put(header);
    }
    if (int error = netlink::exchange(route_.get(), request, 1, &answers)) return error;
    netlink::eachMessage(answers, [&](const nlmsghdr& message, std::string_view body) {
      if (message.nlmsg_type != RTM_NEWROUTE || body.size() < sizeof(rtmsg)) return;
      Flow flow;
      flow.family = family;
      uint32_t table = 0;
      netlink::eachAttribute(body.substr(sizeof(rtmsg)), [&](uint16_t type, std::string_view value) {
        if (type == RTA_TABLE && value.size() == sizeof table) memcpy(&table, value.data(), sizeof table);
        if (type == RTA_DST && value.size() == flow.addressLength()) memcpy(flow.client, value.data(), value.size());
        if (type == RTA_PREFSRC && value.size() == flow.addressLength())
          memcpy(flow.server, value.data(), value.size());
      });
      if (table >= kFirstTable && table < kFirstTable + kMaxPaths) putRoute(flow, table, false, &removals);
    });
  }
  // A rule that was removed meanwhile is not a failure.
  if (!removals.empty()) change(route_.get(), removals);
  return 0;
}

int ReturnPaths::listSockets(std::unordered_map<std::string, Flow>* out) {
  int raw = -1;
  if (int error = netlink::open(NETLINK_SOCK_DIAG, "", &raw)) return error;
  Fd fd(raw);
  for (uint8_t family : {AF_INET, AF_INET6}) {
    std::string request, answers;
    inet_diag_req_v2 body{};
    body.sdiag_family = family;
    body.sdiag_protocol = IPPROTO_UDP;
    body.idiag_states = ~0u;
    MessageBuilder(&request, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP).put(body);
    if (int error = netlink::exchange(fd.get(), request, 1, &answers)) return error;
    int refused = 0;
    netlink::eachMessage(answers, [&](const nlmsghdr& message, std::string_view answer) {
      nlmsgerr result;
      if (message.nlmsg_type == NLMSG_ERROR && answer.size() >= sizeof result) {
        memcpy(&result, answer.data(), sizeof result);
        refused = -result.error;
      }
      Flow flow;
      if (message.nlmsg_type != SOCK_DIAG_BY_FAMILY || !parse(answer, &flow)) return;
      netlink::eachAttribute(answer.substr(sizeof(inet_diag_msg)), [&](uint16_t type, std::string_view value) {
        uint32_t mark = 0;
        if (type == INET_DIAG_MARK && value.size() == sizeof mark) memcpy(&mark, value.data(), sizeof mark);
        if (mark == mark_) out->emplace(flow.key(), flow);
      });
    });
    if (refused != 0) return refused;
  }
  return 0;
}

bool ReturnPaths::parse(std::string_view body, Flow* out) {
  inet_diag_msg message;
  if (body.size() < sizeof message) return false;
  memcpy(&message, body.data(), sizeof message);
  out->family = message.idiag_family;
  memcpy(out->client, message.id.idiag_src, out->addressLength());
  memcpy(out->server, message.id.idiag_dst, out->addressLength());
  out->clientPort = ntohs(message.id.idiag_sport);
  out->serverPort = ntohs(message.id.idiag_dport);
  out->cookie = uint64_t(message.id.idiag_cookie[1]) << 32 | message.id.idiag_cookie[0];
  return true;
}

void ReturnPaths::onEvents(uint32_t) {
  std::string messages;
  char buffer[8192];
  // The rest is reported in the next round.
  for (int n = 0; n < kReportsAtOnce; n++) {
    ssize_t length = recv(ends_.get(), buffer, sizeof buffer, 0);
    if (length < 0 && errno == EINTR) continue;
    // Reports were lost (ENOBUFS).
    if (length < 0 && errno != EAGAIN) resynchronize(&messages);
    if (length < 0) break;
    netlink::eachMessage(std::string_view(buffer, size_t(length)), [&](const nlmsghdr&, std::string_view body) {
      Flow ended;
      if (!parse(body, &ended)) return;
      auto known = flows_.find(ended.key());
      if (known != flows_.end() && known->second.cookie == ended.cookie) erase(Flow(known->second), &messages);
    });
  }
  if (!messages.empty()) change(route_.get(), messages);
}

void ReturnPaths::resynchronize(std::string* messages) {
  std::unordered_map<std::string, Flow> living;
  if (int error = listSockets(&living)) return report("list UDP sockets", error);
  std::vector<Flow> gone;
  for (auto& [key, flow] : flows_) {
    auto found = living.find(key);
    if (found == living.end() || found->second.cookie != flow.cookie) gone.push_back(flow);
  }
  for (const Flow& flow : gone) erase(flow, messages);
}

void ReturnPaths::report(const std::string& what, int error) {
  if (reported_) return;
  reported_ = true;
  log_("servers see UDP clients from this side of the port: cannot " + what + ": " + strerror(error));
}

}  // namespace rn
