#include "process/service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

namespace rn {

namespace service_manager {

int sendDatagram(const std::string& path, const std::string& data) {
  sockaddr_un address{};
  if (path.empty() || path.size() >= sizeof address.sun_path) return EINVAL;
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return errno;
  auto length = socklen_t(offsetof(sockaddr_un, sun_path) + path.size());
  ssize_t sent =
      sendto(socket.get(), data.data(), data.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), length);
  return sent < 0 ? errno : 0;
}

int takeSocket(int fd, Socket* out) {
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &out->type, &length) != 0) return errno;
  out->address.length = sizeof out->address.v6;
  if (getsockname(fd, &out->address.sa, &out->address.length) != 0) return errno;
  if (out->address.family() != AF_INET && out->address.family() != AF_INET6) return ENOTSUP;
  length = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) != 0) return errno;
  bool listens = out->type == SOCK_STREAM && value != 0;
  bool receives = out->type == SOCK_DGRAM && out->address.port() != 0;
  if (!listens && !receives) return ENOTSUP;
  if (out->address.family() == AF_INET6) {
    length = sizeof value;
    if (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, &length) != 0) return errno;
    out->dual = value == 0;
  }
  sockets::prepareListener(fd, out->address.family(), out->type, out->dual);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  return 0;
}

}  // namespace service_manager

}  // namespace rn
