#include "packet_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <memory>

#include "wire.h"

namespace {
// One for all channels of the process: they live on one thread.
thread_local std::unique_ptr<char[]> receiveBuffer;
}  // namespace

PacketChannel::PacketChannel(Loop* loop, Fd fd, Owner* owner, uint32_t id)
    : loop_(loop), fd_(std::move(fd)), owner_(owner), id_(id) {
  loop_->watch(fd_.get(), EPOLLIN, this);
}

PacketChannel::Sent PacketChannel::trySend(const Packet& packet) {
  iovec iov{const_cast<char*>(packet.data.data()), packet.data.size()};
  msghdr msg{};
  msg.msg_iov = &iov;
  msg.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  size_t count = packet.fds.size();
  if (count > 0) {
    msg.msg_control = control;
    msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    cmsghdr* cmsg = CMSG_FIRSTHDR(&msg);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int) * count);
    int* out = reinterpret_cast<int*>(CMSG_DATA(cmsg));
    for (size_t i = 0; i < count; i++) out[i] = packet.fds[i].get();
  }
  for (;;) {
    if (sendmsg(fd_.get(), &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Sent::yes;
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return Sent::full;
    // ETOOMANYREFS: more descriptors under way than the user may have (unix(7)); some will be taken out soon.
    if (errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS) return Sent::later;
    return Sent::never;
  }
}

void PacketChannel::send(std::string data, std::vector<Fd> fds) {
  if (!fd_.valid()) return;
  Packet packet{std::move(data), std::move(fds)};
  if (queue_.empty()) {
    Sent sent = trySend(packet);
    // Where the peer is gone, reading says so.
    if (sent == Sent::yes || sent == Sent::never) return;
    queue_.push_back(std::move(packet));
    waitToSend(sent);
    return;
  }
  queue_.push_back(std::move(packet));
}

void PacketChannel::flush() {
  while (!queue_.empty()) {
    Sent sent = trySend(queue_.front());
    if (sent == Sent::full || sent == Sent::later) {
      waitToSend(sent);
      return;
    }
    queue_.pop_front();
  }
  watchOut(false);
}

void PacketChannel::waitToSend(Sent why) {
  watchOut(why == Sent::full);
  if (why == Sent::later) loop_->later(this);
}

void PacketChannel::watchOut(bool wanted) {
  if (watchesOut_ == wanted) return;
  watchesOut_ = wanted;
  loop_->rewatch(fd_.get(), wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, this);
}

void PacketChannel::onAgain() {
  if (fd_.valid()) flush();
}

void PacketChannel::close() {
  if (fd_.valid()) {
    loop_->unwatch(fd_.get());
    fd_.reset();
  }
  queue_.clear();
  loop_->bury(this);
}

void PacketChannel::fail(const std::string& reason) {
  if (buried()) return;
  close();
  owner_->onChannelClosed(this, reason);
}

void PacketChannel::onEvents(uint32_t events) {
  if (buried()) return;
  if (events & EPOLLOUT) flush();
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  if (!receiveBuffer) receiveBuffer.reset(new char[wire::kMaxPacket]);

  for (int i = 0; i < 64 && fd_.valid(); i++) {
    iovec iov{receiveBuffer.get(), wire::kMaxPacket};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    msghdr msg{};
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control;
    msg.msg_controllen = sizeof control;
    ssize_t n = recvmsg(fd_.get(), &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return;
      fail(strerror(errno));
      return;
    }
    std::vector<Fd> fds;
    for (cmsghdr* c = CMSG_FIRSTHDR(&msg); c != nullptr; c = CMSG_NXTHDR(&msg, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      const int* in = reinterpret_cast<const int*>(CMSG_DATA(c));
      for (size_t k = 0; k < count; k++) fds.emplace_back(in[k]);
    }
    // We never send empty packets, so this is the end of file of a SOCK_SEQPACKET socket.
    if (n == 0) {
      fail("the other side closed the connection");
      return;
    }
    if (msg.msg_flags & MSG_TRUNC) {
      fail("a packet of more than " + std::to_string(wire::kMaxPacket) + " bytes came");
      return;
    }
    owner_->onPacket(this, std::string_view(receiveBuffer.get(), size_t(n)), std::move(fds),
                     (msg.msg_flags & MSG_CTRUNC) != 0);
  }
}
