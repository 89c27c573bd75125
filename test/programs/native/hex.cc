#include <cstdint>

#include "parts.h"

namespace rn {

namespace test {

std::string toHex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) {
    for (int digit : {uint8_t(c) >> 4, uint8_t(c) & 0xf}) out.push_back("0123456789abcdef"[digit]);
  }
  return out;
}

std::string fromHex(std::string_view digits) {
  auto valueOf = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  std::string out;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    int high = valueOf(digits[i]), low = valueOf(digits[i + 1]);
    if (high < 0 || low < 0) break;
    out.push_back(char(high << 4 | low));
  }
  return out;
}

}  // namespace test

}  // namespace rn
