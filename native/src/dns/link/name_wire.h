// The packets by which DNS queries of containers reach the host's resolvers, as protocol/wire/messages.ts describes them:
//
//   query     [7, id, tcp, client, query]    agent -> parent; `tcp` is 1 where it came over TCP, `client` the address that it
//                                            came from, and `query` a DNS message
//   reply     [7, id, reply]                 parent -> agent; "" for none
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rn {

namespace name_wire {

constexpr uint32_t kName = 7;
// Of a reply, so that its packet is not longer than others (wire::kMaxPacket).
constexpr size_t kMaxReply = 65000;

struct Query {
  uint32_t id = 0;
  bool tcp = false;
  std::string_view client;
  std::string_view message;
};

struct Reply {
  uint32_t id = 0;
  std::string_view message;
};

bool isName(std::string_view packet);
std::string encode(const Query& query);
std::string encode(const Reply& reply);
// False where the packet is invalid. Views point into the packet.
bool decode(std::string_view packet, Query* out);
bool decode(std::string_view packet, Reply* out);

}  // namespace name_wire

}  // namespace rn
