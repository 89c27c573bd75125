#include "netlink/try_connect.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "netlink/netns.h"
#include "system/fd.h"

namespace rn {

namespace {

int connectWithin(const Address& to, unsigned ms) {
  Fd fd(socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return errno;
  timeval timeout{time_t(ms / 1000), suseconds_t(ms % 1000 * 1000)};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (connect(fd.get(), &to.sa, to.length) == 0) return 0;
  // A timeout of the socket looks so (socket(7)).
  return errno == EINPROGRESS ? ETIMEDOUT : errno;
}

}  // namespace

int tryConnect(const Address& to, const std::string& netns, unsigned ms) {
  if (netns.empty()) return connectWithin(to, ms);
  Fd file(open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  return file.valid() ? netns::in(file.get(), [&] { return connectWithin(to, ms); }) : errno;
}

}  // namespace rn
