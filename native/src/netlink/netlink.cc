#include "netlink/netlink.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <atomic>

#include "netlink/netns.h"
#include "system/fd.h"

namespace rn {

namespace netlink {

namespace {

// The kernel answers at once; this limit is for an answer that never comes.
constexpr timeval TIMEOUT = {5, 0};
constexpr int RECEIVE_BUFFER = 1 << 20;
// The most messages of other senders that are skipped for one answer.
constexpr unsigned MOST_FOREIGN = 1000;

int makeSocket(int protocol, int* out) {
  Fd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return errno;
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &TIMEOUT, sizeof TIMEOUT);
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &RECEIVE_BUFFER, sizeof RECEIVE_BUFFER);
  int yes = 1;
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &yes, sizeof yes);
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &yes, sizeof yes);
  *out = fd.release();
  return 0;
}

}  // namespace

int open(int protocol, const std::string& netns, int* out) {
  if (netns.empty()) return makeSocket(protocol, out);
  Fd file(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return errno;
  return netns::in(file.get(), [&] { return makeSocket(protocol, out); });
}

int exchange(int fd, const std::string& messages, unsigned acknowledgements, std::string* answers) {
  ssize_t sent;
  do {
    sent = send(fd, messages.data(), messages.size(), 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return errno;

  // Of the size that the kernel fills at most with a part of a dump; not cleared, since most answers are short.
  char buffer[32 * 1024];
  unsigned seen = 0, foreign = 0;
  while (seen < acknowledgements) {
    sockaddr_nl from{};
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(fd, buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    // Programs with CAP_NET_ADMIN in that namespace may send to any netlink socket in it (netlink(7)).
    if (length != sizeof from || from.nl_pid != 0) {
      if (++foreign > MOST_FOREIGN) return EPROTO;
      continue;
    }
    answers->append(buffer, size_t(n));
    for (size_t at = 0; at + NLMSG_HDRLEN <= size_t(n);) {
      nlmsghdr header;
      memcpy(&header, buffer + at, sizeof header);
      if (header.nlmsg_len < NLMSG_HDRLEN) return EPROTO;
      if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) seen++;
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
  }
  return 0;
}

int ask(int fd, std::string* message, std::string* answer) {
  static std::atomic<uint32_t> last{0};
  nlmsghdr header;
  memcpy(&header, message->data(), sizeof header);
  header.nlmsg_seq = ++last;
  memcpy(message->data(), &header, sizeof header);
  if (send(fd, message->data(), message->size(), MSG_DONTWAIT) < 0) return errno;
  char buffer[8 * 1024];
  for (unsigned foreign = 0; foreign < MOST_FOREIGN; foreign++) {
    sockaddr_nl from{};
    socklen_t length = sizeof from;
    ssize_t n = recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length);
    if (n < 0) return errno;
    nlmsghdr first;
    if (length != sizeof from || from.nl_pid != 0 || size_t(n) < sizeof first) continue;
    memcpy(&first, buffer, sizeof first);
    // Of a question whose answer was lost.
    if (first.nlmsg_seq != header.nlmsg_seq) continue;
    if (first.nlmsg_type == NLMSG_ERROR) {
      nlmsgerr result;
      if (size_t(n) < NLMSG_HDRLEN + sizeof result) return EPROTO;
      memcpy(&result, buffer + NLMSG_HDRLEN, sizeof result);
      return result.error == 0 ? EPROTO : -result.error;
    }
    answer->assign(buffer, size_t(n));
    return 0;
  }
  return EPROTO;
}

}  // namespace netlink

}  // namespace rn
