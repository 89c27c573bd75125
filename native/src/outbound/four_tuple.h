// Both ends of a connection or a flow, as a key.
#pragma once
#include <string.h>
#include <functional>
#include <string_view>

#include "system/sockets.h"

namespace rn {

struct FourTuple {
  FourTuple(const Address& client, const Address& destination) {
    put(0, client);
    put(kEnd, destination);
  }
  bool operator==(const FourTuple& o) const { return memcmp(bytes, o.bytes, sizeof bytes) == 0; }
  struct Hash {
    size_t operator()(const FourTuple& key) const {
      return std::hash<std::string_view>()({reinterpret_cast<const char*>(key.bytes), sizeof key.bytes});
    }
  };

 private:
  static constexpr size_t kEnd = 18;
  void put(size_t at, const Address& address) {
    in6_addr ip = address.mapped();
    uint16_t port = address.port();
    memcpy(bytes + at, &ip, sizeof ip);
    memcpy(bytes + at + sizeof ip, &port, sizeof port);
  }

  unsigned char bytes[2 * kEnd];
};

}  // namespace rn
