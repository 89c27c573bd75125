#include "connect/wire.h"

#include "system/encoding/msgpack.h"

namespace rn {

namespace wire {

using msgpack::putString;
using msgpack::putUint;
using msgpack::Reader;

namespace {

// Reads the head [kind, id of an array of `length` elements.
bool head(Reader* in, uint32_t* length, uint32_t* kind, uint32_t* id) {
  return in->array(length) && in->uint(kind) && in->uint(id);
}

bool target(Reader* in, std::string_view packet, Request* out) {
  size_t start = in->at();
  uint32_t length;
  std::string_view text;
  if (!in->array(&length) || length != 6 || !in->string(&out->proto)) return false;
  for (int i = 0; i < 5; i++) {
    if (!in->string(&text)) return false;
  }
  out->target = packet.substr(start, in->at() - start);
  return true;
}

bool route(Reader* in, Answer* out) {
  uint32_t perClient, keepSource, count;
  if (!in->uint(&out->epoch) || !in->uint(&perClient) || !in->uint(&keepSource) || !in->uint(&out->mark)) return false;
  if (perClient > 1 || keepSource > 1 || !in->array(&count) || count > kMaxAddresses) return false;
  out->perClient = perClient == 1;
  out->keepSource = keepSource == 1;
  out->ips.resize(count);
  for (std::string_view& ip : out->ips) {
    if (!in->string(&ip)) return false;
  }
  return true;
}

}  // namespace

std::string encodeRequest(const Request& request) {
  std::string out;
  out.reserve(32 + request.target.size() + request.sourceIP.size());
  size_t length = request.kind == kConnect ? 7 : request.kind == kEpoch ? 2 : 4;
  out.push_back(char(0x90 | length));
  putUint(&out, request.kind);
  putUint(&out, request.id);
  if (request.kind == kSockets) {
    putUint(&out, request.family);
    putUint(&out, request.count);
  }
  if (request.kind == kRoute) {
    out.append(request.target);
    putString(&out, request.sourceIP);
  }
  if (request.kind == kConnect) {
    out.append(request.target);
    putUint(&out, request.port);
    putUint(&out, request.attempt);
    putString(&out, request.sourceIP);
    putUint(&out, request.sourcePort);
  }
  return out;
}

std::string encodeAnswer(const Answer& answer) {
  static constexpr struct {
    uint32_t number;
    uint8_t length;
  } kShapes[] = {{kResult, 2}, {kResult, 4}, {kPending, 2}, {kSockets, 2}, {kRoute, 7}};
  const auto& shape = kShapes[size_t(answer.kind)];
  std::string out(1, char(0x90 | shape.length));
  putUint(&out, shape.number);
  putUint(&out, answer.id);
  if (answer.kind == Answer::Kind::failed) {
    putUint(&out, uint32_t(answer.error));
    putString(&out, answer.message.substr(0, 1024));
  }
  if (answer.kind == Answer::Kind::route) {
    putUint(&out, answer.epoch);
    putUint(&out, answer.perClient);
    putUint(&out, answer.keepSource);
    putUint(&out, answer.mark);
    out.push_back(char(0x90 | answer.ips.size()));
    for (std::string_view ip : answer.ips) putString(&out, ip);
  }
  return out;
}

std::string encodeChannel() {
  std::string out(1, char(0x91));
  putUint(&out, kChannel);
  return out;
}

bool isChannel(std::string_view packet) { return packet == encodeChannel(); }

bool decodeRequest(std::string_view* packet, Request* out) {
  Reader in(*packet);
  uint32_t length;
  *out = {};
  if (!head(&in, &length, &out->kind, &out->id)) return false;
  bool valid = false;
  if (out->kind == kConnect && length == 7) {
    valid = target(&in, *packet, out) && in.uint(&out->port) && out->port <= 65535 && in.uint(&out->attempt) &&
            in.string(&out->sourceIP) && in.uint(&out->sourcePort);
  } else if (out->kind == kSockets && length == 4) {
    valid = in.uint(&out->family) && (out->family == 4 || out->family == 6) && in.uint(&out->count);
  } else if (out->kind == kRoute && length == 4) {
    valid = target(&in, *packet, out) && in.string(&out->sourceIP);
  } else if (out->kind == kEpoch) {
    valid = length == 2;
  }
  packet->remove_prefix(in.at());
  return valid;
}

bool decodeAnswer(std::string_view* packet, Answer* out) {
  Reader in(*packet);
  uint32_t length, kind, error = 0;
  if (!head(&in, &length, &kind, &out->id)) return false;
  if (length == 2 && kind == kPending) {
    out->kind = Answer::Kind::pending;
  } else if (length == 2 && kind == kResult) {
    out->kind = Answer::Kind::connected;
  } else if (length == 2 && kind == kSockets) {
    out->kind = Answer::Kind::sockets;
  } else if (length == 7 && kind == kRoute) {
    out->kind = Answer::Kind::route;
    if (!route(&in, out)) return false;
  } else if (length == 4 && kind == kResult) {
    out->kind = Answer::Kind::failed;
    if (!in.uint(&error) || error == 0 || error > 4095 || !in.string(&out->message)) return false;
  } else {
    return false;
  }
  out->error = int(error);
  packet->remove_prefix(in.at());
  return true;
}

bool isDataPlane(std::string_view packet) {
  return !packet.empty() && ((uint8_t(packet[0]) & 0xf0) == 0x90 || uint8_t(packet[0]) == 0xdc);
}

}  // namespace wire

}  // namespace rn
