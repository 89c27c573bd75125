#include "policy/peek/host_name.h"

namespace rn {

namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }

// The character as it is compared; 0 where names have none such.
char normalized(char c) {
  if (c >= 'A' && c <= 'Z') return char(c - 'A' + 'a');
  bool known = (c >= 'a' && c <= 'z') || isDigit(c) || c == '-' || c == '_';
  return known ? c : '\0';
}

}  // namespace

bool normalizeName(std::string_view text, std::string* out) {
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  if (text.empty() || text.size() > kMaxName) return false;
  out->clear();
  out->reserve(text.size());
  size_t length = 0;
  bool digits = true;
  for (char c : text) {
    if (c == '.') {
      if (length == 0 || out->back() == '-') return false;
      length = 0;
      digits = true;
    } else {
      c = normalized(c);
      if (c == '\0' || ++length > 63 || (length == 1 && c == '-')) return false;
      digits = digits && isDigit(c);
    }
    out->push_back(c);
  }
  return length > 0 && out->back() != '-' && !digits;
}

}  // namespace rn
