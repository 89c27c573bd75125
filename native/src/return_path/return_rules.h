// The kernel's routing rules (ip-rule(8)) that direct a server's UDP replies to tables of return_paths.h.
//
// Theory of operation. Each pair of a server's and a client's port has a rule. The kernel tries rules one by one, so they
// are the leaves of a tree, 16 x 16 ranges of client ports, which other rules descend by `goto`:
//
//   kEnter       not (iif lo ipproto udp): goto kEnd
//   kTop         dport 0x8000-0x8fff: goto the branch     …            kTop + 1      goto kEnd
//   a branch     dport 0x8a00-0x8aff: goto the leaf       …            branch + 1    goto kEnd
//   a leaf       iif lo ipproto udp sport PORT dport CLIENT-PORT lookup TABLE      …            leaf + 1      goto kEnd
//   kEnd         nop
//
// Rules exist only while they are needed: removing the last pair removes all of them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rn {

class ReturnRules {
 public:
  struct Pair {
    uint8_t family;
    uint16_t serverPort;
    uint16_t clientPort;
  };

  // The kernel accepts no rule for the last port (net/core/fib_rules.c, fib_rule_port_range_valid).
  static constexpr uint16_t kMaxPort = 65534;

  // Both append messages of rtnetlink(7). One pair may have several tables.
  void add(const Pair& pair, uint32_t table, std::string* messages);
  void remove(const Pair& pair, uint32_t table, std::string* messages);
  // Removes all rules that another process has left, given a list of all rules of a family (RTM_GETRULE).
  static void removeAll(uint8_t family, std::string_view listed, std::string* messages);

 private:
  // How many pairs are below each part of the tree of one family.
  struct Tree {
    uint32_t rules = 0;
    uint32_t branches[16] = {};
    uint32_t leaves[256] = {};
  };
  Tree v4_, v6_;
};

}  // namespace rn
