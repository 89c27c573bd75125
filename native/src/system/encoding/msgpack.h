// The part of msgpack that packets between parent and agent have: arrays, numbers without a sign, and strings, which may have
// any bytes here.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rn {

namespace msgpack {

// Reads values in their order; after a failure nothing more is to be read.
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

inline void putUint(std::string* out, uint32_t value) {
  if (value < 0x80) {
    out->push_back(char(value));
    return;
  }
  out->push_back(char(0xce));
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(char(value >> shift));
}

inline void putString(std::string* out, std::string_view value) {
  if (value.size() < 32) {
    out->push_back(char(0xa0 | value.size()));
  } else {
    out->push_back(char(0xda));
    out->push_back(char(value.size() >> 8));
    out->push_back(char(value.size()));
  }
  out->append(value);
}

}  // namespace msgpack

}  // namespace rn
