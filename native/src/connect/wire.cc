#include "connect/wire.h"

namespace rn {

namespace wire {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view data) : data_(data) {}

  bool array(uint32_t* length) {
    uint8_t b;
    if (!byte(&b)) return false;
    if ((b & 0xf0) == 0x90) {
      *length = b & 0x0f;
      return true;
    }
    return b == 0xdc && number(2, length);
  }

  bool uint(uint32_t* value) {
    uint8_t b;
    if (!byte(&b)) return false;
    if (b < 0x80) {
      *value = b;
      return true;
    }
    if (b == 0xcc) return number(1, value);
    if (b == 0xcd) return number(2, value);
    return b == 0xce && number(4, value);
  }

  bool string(std::string_view* value) {
    uint8_t b;
    uint32_t length;
    if (!byte(&b)) return false;
    if ((b & 0xe0) == 0xa0) {
      length = b & 0x1f;
    } else if (b == 0xd9) {
      if (!number(1, &length)) return false;
    } else if (b == 0xda) {
      if (!number(2, &length)) return false;
    } else {
      return false;
    }
    if (data_.size() - at_ < length) return false;
    *value = data_.substr(at_, length);
    at_ += length;
    return true;
  }

  size_t at() const { return at_; }

 private:
  bool byte(uint8_t* b) {
    if (at_ >= data_.size()) return false;
    *b = uint8_t(data_[at_++]);
    return true;
  }
  bool number(int bytes, uint32_t* value) {
    uint32_t v = 0;
    for (int i = 0; i < bytes; i++) {
      uint8_t b;
      if (!byte(&b)) return false;
      v = v << 8 | b;
    }
    *value = v;
    return true;
  }

  std::string_view data_;
  size_t at_ = 0;
};

void putUint(std::string* out, uint32_t value) {
  if (value < 0x80) {
    out->push_back(char(value));
    return;
  }
  out->push_back(char(0xce));
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(char(value >> shift));
}

void putString(std::string* out, std::string_view value) {
  if (value.size() < 32) {
    out->push_back(char(0xa0 | value.size()));
  } else {
    out->push_back(char(0xda));
    out->push_back(char(value.size() >> 8));
    out->push_back(char(value.size()));
  }
  out->append(value);
}

// Reads the head [kind, id of an array of `length` elements.
bool head(Reader* in, uint32_t* length, uint32_t* kind, uint32_t* id) {
  return in->array(length) && in->uint(kind) && in->uint(id);
}

}  // namespace

std::string encodeConnect(const ConnectRequest& request) {
  std::string out;
  out.reserve(32 + request.target.size() + request.sourceIP.size());
  out.push_back(char(0x97));
  putUint(&out, kConnect);
  putUint(&out, request.id);
  out.append(request.target);
  putUint(&out, request.port);
  putUint(&out, request.attempt);
  putString(&out, request.sourceIP);
  putUint(&out, request.sourcePort);
  return out;
}

std::string encodeAnswer(const Answer& answer) {
  bool failed = answer.kind == Answer::Kind::failed;
  std::string out(1, char(failed ? 0x94 : 0x92));
  putUint(&out, answer.kind == Answer::Kind::pending ? kPending : kResult);
  putUint(&out, answer.id);
  if (failed) {
    putUint(&out, uint32_t(answer.error));
    putString(&out, answer.message.substr(0, 1024));
  }
  return out;
}

std::string encodeChannel() {
  std::string out(1, char(0x91));
  putUint(&out, kChannel);
  return out;
}

bool isChannel(std::string_view packet) { return packet == encodeChannel(); }

bool decodeConnect(std::string_view* packet, ConnectRequest* out) {
  Reader in(*packet);
  uint32_t length, kind, targetLength;
  if (!head(&in, &length, &kind, &out->id) || kind != kConnect || length != 7) return false;
  size_t start = in.at();
  std::string_view text;
  if (!in.array(&targetLength) || targetLength != 6) return false;
  if (!in.string(&out->proto)) return false;
  for (int i = 0; i < 5; i++) {
    if (!in.string(&text)) return false;
  }
  out->target = packet->substr(start, in.at() - start);
  if (!in.uint(&out->port) || out->port > 65535) return false;
  if (!in.uint(&out->attempt) || !in.string(&out->sourceIP) || !in.uint(&out->sourcePort)) return false;
  packet->remove_prefix(in.at());
  return true;
}

bool decodeAnswer(std::string_view* packet, Answer* out) {
  Reader in(*packet);
  uint32_t length, kind, error = 0;
  if (!head(&in, &length, &kind, &out->id)) return false;
  if (length == 2 && kind == kPending) {
    out->kind = Answer::Kind::pending;
  } else if (length == 2 && kind == kResult) {
    out->kind = Answer::Kind::connected;
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
