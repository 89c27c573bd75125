// Host names as they are compared: lower case, without the final dot.
#pragma once
#include <string>
#include <string_view>

namespace rn {

// Longest name in text form, without the final dot (RFC 1035, section 2.3.4).
constexpr size_t kMaxName = 253;

// Writes the name as it is compared to *out. False for anything but letters, digits, hyphens and underscores in labels of
// 1 to 63 bytes, for a label that begins or ends with a hyphen, and for names whose last label is a number: these are
// addresses to programs (RFC 3696, section 2). Names that are not ASCII come as punycode.
bool normalizeName(std::string_view text, std::string* out);

}  // namespace rn
