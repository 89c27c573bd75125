#include "dns/link/kept_sockets.h"

#include <fcntl.h>
#include <utility>

#include "dns/link/name_wire.h"
#include "loop/closer.h"

namespace rn {

bool KeptSockets::onPacket(std::string_view packet, std::vector<Fd>* fds) {
  std::string_view view;
  if (!name_wire::decodeSocket(packet, &view) || fds->size() > 1) return false;
  std::string key(view);
  auto it = sockets_.find(key);
  if (it != sockets_.end()) {
    closer::close(std::move(it->second));
    sockets_.erase(it);
  }
  if (fds->size() == 1 && sockets_.size() < kMost) {
    sockets_[key] = std::move(fds->front());
    fds->clear();
  }
  return true;
}

void KeptSockets::giveTo(PacketChannel* channel) const {
  for (const auto& [key, socket] : sockets_) {
    std::vector<Fd> fds;
    fds.emplace_back(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
    if (fds.back().valid()) channel->send(name_wire::encodeSocket(key), std::move(fds));
  }
}

KeptSockets::~KeptSockets() {
  for (auto& [key, socket] : sockets_) closer::close(std::move(socket));
}

}  // namespace rn
