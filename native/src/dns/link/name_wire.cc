#include "dns/link/name_wire.h"

#include "system/encoding/msgpack.h"

namespace rn {

namespace name_wire {

using msgpack::putString;
using msgpack::putUint;
using msgpack::Reader;

namespace {

bool head(Reader* in, uint32_t length, uint32_t* id) {
  uint32_t found, kind;
  return in->array(&found) && found == length && in->uint(&kind) && kind == kName && in->uint(id);
}

}  // namespace

bool isName(std::string_view packet) {
  return packet.size() >= 2 && (uint8_t(packet[0]) & 0xf0) == 0x90 &&
         (uint8_t(packet[1]) == kName || uint8_t(packet[1]) == kSocket);
}

std::string encode(const Query& query) {
  std::string out(1, char(0x95));
  out.reserve(64 + query.message.size());
  putUint(&out, kName);
  putUint(&out, query.id);
  putUint(&out, query.tcp ? 1 : 0);
  putString(&out, query.client);
  putString(&out, query.message);
  return out;
}

std::string encode(const Reply& reply) {
  std::string out(1, char(0x93));
  out.reserve(16 + reply.message.size());
  putUint(&out, kName);
  putUint(&out, reply.id);
  putString(&out, reply.message);
  return out;
}

std::string encodeSocket(std::string_view key) {
  std::string out(1, char(0x92));
  putUint(&out, kSocket);
  putString(&out, key);
  return out;
}

bool decodeSocket(std::string_view packet, std::string_view* key) {
  Reader in(packet);
  uint32_t length, kind;
  return in.array(&length) && length == 2 && in.uint(&kind) && kind == kSocket && in.string(key) &&
         key->size() <= kMaxKey && in.at() == packet.size();
}

bool decode(std::string_view packet, Query* out) {
  Reader in(packet);
  uint32_t tcp;
  if (!head(&in, 5, &out->id) || !in.uint(&tcp) || tcp > 1) return false;
  out->tcp = tcp == 1;
  return in.string(&out->client) && in.string(&out->message) && in.at() == packet.size();
}

bool decode(std::string_view packet, Reply* out) {
  Reader in(packet);
  return head(&in, 3, &out->id) && in.string(&out->message) && in.at() == packet.size();
}

}  // namespace name_wire

}  // namespace rn
