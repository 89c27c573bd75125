// The packets of the agent's DNS servers, as protocol/wire/messages.ts describes them: queries on their way to the host's
// resolvers, and the servers' sockets, which outlast the agent.
//
//   query     [7, id, tcp, client, query]    agent -> parent; `tcp` is 1 where it came over TCP, `client` the address that it
//                                            came from, and `query` a DNS message
//   reply     [7, id, reply]                 parent -> agent; "" for none
//   socket    [9, key]                       agent -> parent, with one descriptor: to be kept, in place of one with that key; without
//                                            one: not any longer. Parent -> agent, with one: what an agent before has left
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace rn {

namespace name_wire {

constexpr uint32_t kName = 7;
constexpr uint32_t kSocket = 9;
constexpr size_t kMaxKey = 64;
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
std::string encodeSocket(std::string_view key);
bool decodeSocket(std::string_view packet, std::string_view* key);

}  // namespace name_wire

}  // namespace rn
