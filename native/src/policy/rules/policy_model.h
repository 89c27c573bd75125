// A policy as it comes from JavaScript: protocol/egress/encode.ts describes the bytes.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rules/networks.h"

namespace rn {

enum class Protocol : uint8_t { tcp, udp, icmp };

struct RuleModel {
  enum class Place : uint8_t { any, network, name, subdomains, host, nothing };
  // Bits of `protocols`.
  static constexpr uint8_t kTcp = 1, kUdp = 2, kIcmp = 4, kNames = 8, kAll = kTcp | kUdp | kIcmp;

  bool deny = false;
  uint8_t protocols = 0;
  uint16_t firstPort = 0;
  uint16_t lastPort = 65535;
  Place place = Place::nothing;
  AddressNumber network{};
  int prefix = 0;  // in the bits of an AddressNumber
  std::string name{};

  bool hasAllPorts() const { return firstPort == 0 && lastPort == 65535; }
  bool isAboutNames() const { return place == Place::name || place == Place::subdomains; }
  // Whether it is about a packet of this protocol to this port; ICMP has none.
  bool covers(Protocol protocol, uint16_t port) const {
    if ((protocols & (1 << uint8_t(protocol))) == 0) return false;
    return protocol == Protocol::icmp || (port >= firstPort && port <= lastPort);
  }
};

struct PolicyModel {
  static constexpr size_t kMaxRules = 16384;

  bool denyByDefault = false;
  std::vector<RuleModel> rules;

  // Returns false, with *out unchanged, if the bytes are not what encode.ts writes.
  static bool decode(std::string_view bytes, PolicyModel* out);
};

}  // namespace rn
