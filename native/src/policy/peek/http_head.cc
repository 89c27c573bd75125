#include "policy/peek/http_head.h"

#include <algorithm>
#include <cstring>

#include "policy/peek/host_name.h"

namespace rn {

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0";

bool isAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// RFC 9110, section 5.6.2.
bool isToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return isAlphanumeric(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != nullptr);
  });
}

bool isPrintable(char c) { return uint8_t(c) > ' ' && c != 0x7f; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; }

// `known` is in lower case.
bool equalsIgnoringCase(std::string_view text, std::string_view known) {
  return std::equal(text.begin(), text.end(), known.begin(), known.end(), [](char a, char b) { return lower(a) == b; });
}

bool allDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string_view trimmed(std::string_view text) {
  auto isBlank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && isBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && isBlank(text.back())) text.remove_suffix(1);
  return text;
}

// What some servers take for a blank in a request line (RFC 9112, section 3), and at its beginning with an empty line (2.2).
constexpr std::string_view kBlanks = " \t\v\f\r";
constexpr std::string_view kSkipped = " \t\v\f\r\n";

// Whether a request line may begin so.
bool beginsWithMethod(std::string_view line) { return isToken(line.substr(0, line.find_first_of(kBlanks))); }

// Whether some server may read a version of HTTP in it.
bool namesVersion(std::string_view line) {
  constexpr std::string_view kVersion = "http/";
  for (size_t at = line.find_first_of(kBlanks); at != std::string_view::npos;
       at = line.find_first_of(kBlanks, at + 1)) {
    if (equalsIgnoringCase(line.substr(at + 1, kVersion.size()), kVersion)) return true;
  }
  return false;
}

// Writes the name in `host[:port]` to *name, "" if it is an address. False if it is neither.
bool readAuthority(std::string_view text, std::string* name) {
  name->clear();
  size_t end = text.find(':', text.empty() || text[0] != '[' ? 0 : text.find(']'));
  if (end != std::string_view::npos) {
    if (text.size() - end > 6 || !allDigits(text.substr(end + 1))) return false;
    text = text.substr(0, end);
  }
  if (text.empty()) return false;
  bool address = std::all_of(text.begin(), text.end(), [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
  if (text[0] == '[' && text.back() == ']') {
    address =
        std::all_of(text.begin() + 1, text.end() - 1, [](char c) { return isAlphanumeric(c) || c == ':' || c == '.'; });
  }
  return address || normalizeName(text, name);
}

}  // namespace

HttpHead::State HttpHead::feed(std::string_view bytes) {
  if (state_ != State::more) return state_;
  std::string_view rest = bytes.substr(0, kMaxBytes - consumed_);
  consumed_ += bytes.size();
  if (!started_ && line_.empty()) {
    size_t begin = std::min(rest.find_first_not_of(kSkipped), rest.size());
    preceded_ = preceded_ || begin > 0;
    rest.remove_prefix(begin);
  }
  while (!rest.empty() && state_ == State::more) {
    size_t end = rest.find('\n');
    line_.append(rest.substr(0, end));
    if (!started_ && namesVersion(line_)) request_ = true;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
    if (line_.empty() || line_.back() != '\r') {
      state_ = State::invalid;
    } else {
      line_.pop_back();
      state_ = readLine(line_);
    }
    line_.clear();
  }
  // What is no request need not be waited for until its line ends.
  if (state_ == State::more && !started_ && !line_.empty() && !beginsWithMethod(line_)) state_ = State::invalid;
  if (state_ == State::more && consumed_ >= kMaxBytes) {
    request_ = true;
    state_ = State::invalid;
  }
  if (state_ != State::more) line_ = {};
  return state_;
}

HttpHead::State HttpHead::readLine(std::string_view line) {
  if (!started_) {
    started_ = true;
    preface_ = line == kPreface;
    return !preceded_ && (preface_ || readRequestLine(line)) ? State::more : State::invalid;
  }
  if (line.empty()) return atEnd();
  return !preface_ && readField(line) ? State::more : State::invalid;
}

// Method, target and version, with one blank between them.
bool HttpHead::readRequestLine(std::string_view line) {
  size_t first = line.find(' ');
  size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return false;
  std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, last - first - 1);
  std::string_view version = line.substr(last + 1);
  if (!beginsWithMethod(line) || target.empty() || !std::all_of(target.begin(), target.end(), isPrintable))
    return false;
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return false;
  // Its Host is the one behind the proxy.
  if (method == "CONNECT") return false;
  if (target[0] == '/' || target == "*") return true;
  size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return false;
  std::string_view name = target.substr(0, scheme);
  if (!equalsIgnoringCase(name, "http") && !equalsIgnoringCase(name, "https")) return false;
  std::string_view authority = target.substr(scheme + 3);
  hasTarget_ = true;
  return readAuthority(authority.substr(0, authority.find_first_of("/?#")), &target_);
}

bool HttpHead::readField(std::string_view line) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || !isToken(line.substr(0, colon))) return false;
  std::string_view value = trimmed(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), [](char c) { return isPrintable(c) || c == ' ' || c == '\t'; })) {
    return false;
  }
  if (!equalsIgnoringCase(line.substr(0, colon), "host")) return true;
  if (hasHost_) return false;
  hasHost_ = true;
  return readAuthority(value, &host_);
}

HttpHead::State HttpHead::atEnd() {
  if (preface_) return State::http2;
  if (hasTarget_ && hasHost_ && target_ != host_) return State::invalid;
  if (hasTarget_) host_ = target_;
  return State::done;
}

}  // namespace rn
