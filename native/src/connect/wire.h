// The packets of the data plane, as protocol/wire/messages.ts describes them: msgpack arrays that begin with a number.
// (Maps are messages between the two JavaScript sides, which the engine does not read.)
//
//   connect    [1, id, target, port, attempt, sourceIP, sourcePort]  parent -> agent; several requests may share a packet
//   connected  [2, id]                  with one descriptor       agent -> parent; several answers may share a packet,
//   failed     [2, id, errno, message]                            agent -> parent; their descriptors come in their order
//   pending    [3, id]                  connecting takes longer   agent -> parent
//   channel    [8]                      with one descriptor       parent -> agent: another channel, for requests of one
//                                                                 more thread of the engine; it ends with the first one
//
//   sockets    [4, id, family, count]                             parent -> agent; family is 4 or 6
//   sockets    [4, id]                  with up to `count` descriptors, alone in its packet          agent -> parent
//   route      [5, id, target, sourceIP]                          parent -> agent
//   route      [5, id, epoch, perClient, keepSource, mark, [ip …]]                                    agent -> parent
//   epoch      [6, id]                  with one descriptor, alone in its packet, see pool/epoch.h    parent -> agent
//
// `target` is [proto, ip, parentIP, hostGatewayIP, source, container]; its bytes are the key under which the agent keeps
// the result of its dial rule, and all ports of a range share it. The engine reads only the protocol in it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rn {

namespace wire {

constexpr uint32_t kConnect = 1;
constexpr uint32_t kResult = 2;
constexpr uint32_t kPending = 3;
constexpr uint32_t kSockets = 4;
constexpr uint32_t kRoute = 5;
constexpr uint32_t kEpoch = 6;
constexpr uint32_t kChannel = 8;
// Largest packet that either side sends or accepts.
constexpr size_t kMaxPacket = 64 * 1024;
// Of a route.
constexpr size_t kMaxAddresses = 8;

// Parent to agent.
struct Request {
  uint32_t kind = kConnect;
  uint32_t id = 0;
  // Of a connection or a route.
  std::string_view target;  // raw msgpack
  std::string_view proto;   // first element of target
  std::string_view sourceIP;
  // Of a connection.
  uint32_t port = 0;
  uint32_t attempt = 0;
  uint32_t sourcePort = 0;
  // Of sockets.
  uint32_t family = 0;
  uint32_t count = 0;
};

// Agent to parent.
struct Answer {
  enum class Kind { connected, failed, pending, sockets, route };
  Kind kind = Kind::connected;
  uint32_t id = 0;
  int error = 0;  // errno, where it failed
  std::string_view message;
  // Of a route: see pool/routes.h.
  uint32_t epoch = 0;
  bool perClient = false;
  bool keepSource = false;
  uint32_t mark = 0;
  std::vector<std::string_view> ips{};
};

std::string encodeRequest(const Request& request);
std::string encodeAnswer(const Answer& answer);
std::string encodeChannel();

// Both remove the first message from the packet, and leave the others. False where the packet is truncated or invalid.
// Views point into the packet.
bool decodeRequest(std::string_view* packet, Request* out);
bool decodeAnswer(std::string_view* packet, Answer* out);

bool isChannel(std::string_view packet);

// Whether the packet belongs to the data plane at all (a msgpack array).
bool isDataPlane(std::string_view packet);

}  // namespace wire

}  // namespace rn
