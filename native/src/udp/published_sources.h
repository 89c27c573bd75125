// Where UDP ports are published, for datagrams that a server sends by itself: they leave the host from there.
//
// A socket is bound to a listener's address beside it, and then connected to the destination: the kernel gives it what comes
// from there, and the listener everything else. Both need SO_REUSEPORT for that, the listener only meanwhile: the address
// stays reserved for it.
//
// Any thread may use it.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "system/sockets.h"

namespace rn {

struct Context;

class PublishedSources {
 public:
  // The listeners of a port whose server has that port inside. Until remove() they stay open.
  void add(uint16_t inside, const std::vector<int>& listeners);
  // Sockets that were bound beside these listeners are closed soon: onRemoved() is called. `home` is the caller's thread.
  void remove(uint16_t inside, const std::vector<int>& listeners, Context& home);
  // Binds `fd`, which will be connected to `destination`, where the port inside is published. Returns false where it is not,
  // or at addresses only from which `destination` cannot be reached.
  bool bind(int fd, uint16_t inside, const Address& destination);
  // Empty for none.
  void onRemoved(std::function<void(uint16_t inside, Context& home)> removed);

 private:
  std::mutex mutex_;
  std::unordered_multimap<uint16_t, int> listeners_;
  std::function<void(uint16_t, Context&)> removed_;
};

}  // namespace rn
