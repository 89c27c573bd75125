#include "return_path/return_rules.h"

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <algorithm>

#include "netlink/netlink_message.h"

namespace rn {

namespace {
using netlink::MessageBuilder;

// Priorities of rules, in the order in which the kernel tries them. Before the main table (32766), and after the rule of
// child/source-address/source-addresses.ts (20000).
constexpr uint32_t kEnter = 20010;
constexpr uint32_t kTop = 20011;
constexpr uint32_t kBranches = 20020;
constexpr uint32_t kLeaves = 20100;
constexpr uint32_t kEnd = 21000;

struct Rule {
  uint8_t family;
  uint32_t priority;
  uint8_t action;
  uint32_t to = 0;  // a priority, or a table
  bool invert = false;
  bool ownUdp = false;
  fib_rule_port_range sport = {};
  fib_rule_port_range dport = {};
};

void putRule(std::string* out, bool add, const Rule& rule) {
  MessageBuilder message(out, add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE : 0);
  fib_rule_hdr header{};
  header.family = rule.family;
  header.action = rule.action;
  header.flags = rule.invert ? FIB_RULE_INVERT : 0;
  message.put(header);
  message.attribute(FRA_PRIORITY, rule.priority);
  if (rule.action == FR_ACT_GOTO) message.attribute(FRA_GOTO, rule.to);
  if (rule.action == FR_ACT_TO_TBL) message.attribute(FRA_TABLE, rule.to);
  if (rule.ownUdp) {
    message.attribute(FRA_IIFNAME, "lo", 3);
    message.attribute(FRA_IP_PROTO, uint8_t(IPPROTO_UDP));
  }
  if (rule.sport.end != 0) message.attribute(FRA_SPORT_RANGE, rule.sport);
  if (rule.dport.end != 0) message.attribute(FRA_DPORT_RANGE, rule.dport);
}

Rule jump(uint8_t family, uint32_t from, uint32_t to) { return {family, from, FR_ACT_GOTO, to}; }

// The ports that begin with these bits.
Rule jump(uint8_t family, uint32_t from, uint32_t to, uint32_t prefix, int bits) {
  Rule rule = jump(family, from, to);
  uint32_t first = prefix << (16 - bits);
  uint32_t last = first + (1u << (16 - bits)) - 1;
  rule.dport = {uint16_t(std::max(first, 1u)), uint16_t(std::min<uint32_t>(last, ReturnRules::kMaxPort))};
  return rule;
}

Rule entry(uint8_t family) {
  Rule rule = jump(family, kEnter, kEnd);
  rule.ownUdp = rule.invert = true;
  return rule;
}

uint32_t branchOf(uint16_t port) { return port >> 12; }
uint32_t leafOf(uint16_t port) { return port >> 8; }
uint32_t branchAt(uint16_t port) { return kBranches + 2 * branchOf(port); }
uint32_t leafAt(uint16_t port) { return kLeaves + 2 * leafOf(port); }

// Replies from that port of the server to that port of a client.
Rule answer(const ReturnRules::Pair& pair, uint32_t table) {
  Rule rule{pair.family, leafAt(pair.clientPort), FR_ACT_TO_TBL, table};
  rule.ownUdp = true;
  rule.sport = {pair.serverPort, pair.serverPort};
  rule.dport = {pair.clientPort, pair.clientPort};
  return rule;
}
}  // namespace

void ReturnRules::add(const Pair& pair, uint32_t table, std::string* messages) {
  Tree& tree = pair.family == AF_INET ? v4_ : v6_;
  uint16_t port = pair.clientPort;
  bool firstOfAll = tree.rules++ == 0;
  bool firstOfBranch = tree.branches[branchOf(port)]++ == 0;
  bool firstOfLeaf = tree.leaves[leafOf(port)]++ == 0;
  // From the leaf to the root: a rule that leads to a part of the tree is added when that part is complete.
  if (firstOfAll) putRule(messages, true, {pair.family, kEnd, FR_ACT_NOP});
  if (firstOfLeaf) putRule(messages, true, jump(pair.family, leafAt(port) + 1, kEnd));
  putRule(messages, true, answer(pair, table));
  if (firstOfBranch) putRule(messages, true, jump(pair.family, branchAt(port) + 1, kEnd));
  if (firstOfLeaf) putRule(messages, true, jump(pair.family, branchAt(port), leafAt(port), leafOf(port), 8));
  if (firstOfAll) putRule(messages, true, jump(pair.family, kTop + 1, kEnd));
  if (firstOfBranch) putRule(messages, true, jump(pair.family, kTop, branchAt(port), branchOf(port), 4));
  if (firstOfAll) putRule(messages, true, entry(pair.family));
}

void ReturnRules::remove(const Pair& pair, uint32_t table, std::string* messages) {
  Tree& tree = pair.family == AF_INET ? v4_ : v6_;
  uint16_t port = pair.clientPort;
  bool lastOfAll = --tree.rules == 0;
  bool lastOfBranch = --tree.branches[branchOf(port)] == 0;
  bool lastOfLeaf = --tree.leaves[leafOf(port)] == 0;
  if (lastOfBranch) putRule(messages, false, jump(pair.family, kTop, branchAt(port), branchOf(port), 4));
  if (lastOfLeaf) putRule(messages, false, jump(pair.family, branchAt(port), leafAt(port), leafOf(port), 8));
  putRule(messages, false, answer(pair, table));
  if (lastOfLeaf) putRule(messages, false, jump(pair.family, leafAt(port) + 1, kEnd));
  if (lastOfBranch) putRule(messages, false, jump(pair.family, branchAt(port) + 1, kEnd));
  if (!lastOfAll) return;
  putRule(messages, false, entry(pair.family));
  putRule(messages, false, jump(pair.family, kTop + 1, kEnd));
  putRule(messages, false, {pair.family, kEnd, FR_ACT_NOP});
}

void ReturnRules::removeAll(uint8_t family, std::string_view listed, std::string* messages) {
  netlink::eachMessage(listed, [&](const nlmsghdr& message, std::string_view body) {
    if (message.nlmsg_type != RTM_NEWRULE || body.size() < sizeof(fib_rule_hdr)) return;
    netlink::eachAttribute(body.substr(sizeof(fib_rule_hdr)), [&](uint16_t type, std::string_view value) {
      uint32_t priority = 0;
      if (type == FRA_PRIORITY && value.size() == sizeof priority) memcpy(&priority, value.data(), sizeof priority);
      // Of several rules with one priority each message removes the first.
      if (priority >= kEnter && priority <= kEnd) putRule(messages, false, {family, priority, FR_ACT_UNSPEC});
    });
  });
}

}  // namespace rn
