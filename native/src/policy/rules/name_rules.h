// Which rules are about a name: those with this name, and those with one that it is below.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rn {

class NameRules {
 public:
  // `name` as normalizeName() writes it. With `subdomains` the rule is about the names below it, and not about it.
  void add(const std::string& name, bool subdomains, uint32_t rule);

  bool empty() const { return exact_.empty() && below_.empty(); }

  // The first rule about the name that passes `wanted(rule)`, the most specific name first; -1 if there is none.
  template <typename Wanted>
  int find(std::string_view name, Wanted wanted) const {
    int found = first(exact_, name, wanted);
    for (size_t dot = name.find('.'); found < 0 && dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
      found = first(below_, name.substr(dot + 1), wanted);
    }
    return found;
  }

 private:
  using Map = std::map<std::string, std::vector<uint32_t>, std::less<>>;

  template <typename Wanted>
  static int first(const Map& map, std::string_view name, Wanted wanted) {
    auto at = map.find(name);
    if (at == map.end()) return -1;
    for (uint32_t rule : at->second) {
      if (wanted(rule)) return int(rule);
    }
    return -1;
  }

  Map exact_;
  Map below_;
};

inline void NameRules::add(const std::string& name, bool subdomains, uint32_t rule) {
  (subdomains ? below_ : exact_)[name].push_back(rule);
}

}  // namespace rn
