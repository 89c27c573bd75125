// The packets of the data plane, as protocol/messages.ts describes them: msgpack arrays that begin with a number.
// (Maps are messages between the two JavaScript sides, and pass through the engine unread.)
//
//   connect    [1, id, target, attempt, sourceIP, sourcePort]     parent -> agent; several may share a packet
//   connected  [2, id]                  with one descriptor       agent -> parent; several answers may share a packet,
//   failed     [2, id, errno, message]                            agent -> parent; their descriptors come in their order
//   pending    [3, id]                  connecting takes its time agent -> parent
//
// `target` is [proto, ip, port, parentIP, hostGatewayIP, source]; its bytes are the key under which the agent keeps what its
// dial rule said, so this side never looks into it but for the protocol.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace wire {

constexpr uint32_t kConnect = 1;
constexpr uint32_t kResult = 2;
constexpr uint32_t kPending = 3;
// Largest packet either side sends or takes.
constexpr size_t kMaxPacket = 64 * 1024;

struct ConnectRequest {
  uint32_t id = 0;
  std::string_view target;  // raw msgpack
  std::string_view proto;   // first element of target
  uint32_t attempt = 0;
  std::string_view sourceIP;
  uint32_t sourcePort = 0;
};

struct Answer {
  enum class Kind { connected, failed, pending };
  Kind kind = Kind::connected;
  uint32_t id = 0;
  int error = 0;  // errno, where it failed
  std::string_view message;
};

std::string encodeConnect(const ConnectRequest& request);
std::string encodeAnswer(const Answer& answer);

// They take the first of the packet, and leave the others in it. False where the packet is torn or of another form.
// Views point into the packet.
bool decodeConnect(std::string_view* packet, ConnectRequest* out);
bool decodeAnswer(std::string_view* packet, Answer* out);

// Whether the packet belongs to the data plane at all (a msgpack array).
bool isDataPlane(std::string_view packet);

}  // namespace wire
