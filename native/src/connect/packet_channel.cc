#include "connect/packet_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <memory>

#include "connect/wire.h"
#include "loop/closer.h"

namespace rn {

namespace {
// One for all channels of a thread.
thread_local std::unique_ptr<char[]> receiveBuffer;
// Bytes that wait for a peer that does not read. Honest ones never leave that much.
constexpr size_t kMostQueued = 16 * 1024 * 1024;
}  // namespace

PacketChannel::PacketChannel(Loop* loop, Fd fd, Owner* owner, uint32_t id)
    : loop_(loop), fd_(std::move(fd)), owner_(owner), id_(id), unread_(std::make_shared<Unread>(id)) {
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
    // ETOOMANYREFS: more descriptors in flight than the user may have (unix(7)); some will be received soon.
    if (errno == ENOBUFS || errno == ENOMEM || errno == ETOOMANYREFS) return Sent::later;
    return Sent::never;
  }
}

void PacketChannel::send(std::string data, std::vector<Fd> fds) {
  if (!fd_.valid()) return;
  Packet packet{std::move(data), std::move(fds)};
  if (queue_.empty()) {
    Sent sent = trySend(packet);
    // If the peer is gone, the next read reports that.
    if (sent == Sent::yes || sent == Sent::never) return;
    queuedBytes_ += packet.data.size();
    queue_.push_back(std::move(packet));
    waitToSend(sent);
    return;
  }
  queuedBytes_ += packet.data.size();
  if (queuedBytes_ > kMostQueued) {
    fail("the other side does not read: " + std::to_string(queuedBytes_) + " bytes wait for it");
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
    progress();
    queuedBytes_ -= queue_.front().data.size();
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
  updateWatch();
}

void PacketChannel::updateWatch() {
  uint32_t events = (unread_->paused ? 0u : uint32_t(EPOLLIN)) | (watchesOut_ ? uint32_t(EPOLLOUT) : 0u);
  if (!parked_) {
    loop_->rewatch(events, this);
  } else if (!unread_->paused) {
    parked_ = false;
    loop_->watch(fd_.get(), events, this);
  }
}

std::shared_ptr<Unread> PacketChannel::passOn(size_t bytes) {
  if ((unread_->bytes += bytes) > Unread::kMost && !unread_->paused) {
    unread_->paused = true;
    // It may have been handled meanwhile, before `paused` was set.
    if (unread_->bytes < Unread::kMost / 2) unread_->paused = false;
    else if (fd_.valid()) updateWatch();
  }
  return unread_;
}

void PacketChannel::resume() {
  if (!unread_->paused || unread_->bytes >= Unread::kMost / 2) return;
  unread_->paused = false;
  if (fd_.valid()) updateWatch();
}

void PacketChannel::onAgain() {
  if (fd_.valid()) flush();
}

void PacketChannel::close() {
  if (fd_.valid()) {
    loop_->unwatch(this);
    fd_.reset();
  }
  queue_.clear();
  loop_->deleteLater(this);
}

void PacketChannel::fail(const std::string& reason) {
  if (isDeleted()) return;
  close();
  owner_->onChannelClosed(this, reason);
}

void PacketChannel::onStalled() { fail("its socket is reported ready, but neither reads nor writes succeed"); }

void PacketChannel::onEvents(uint32_t events) {
  if (isDeleted()) return;
  if (events & EPOLLOUT) flush();
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  // A hang-up is always reported, again and again; data that is still to be read comes before it.
  if (unread_->paused) {
    loop_->unwatch(this);
    parked_ = true;
    return;
  }
  if (!receiveBuffer) receiveBuffer.reset(new char[wire::kMaxPacket]);

  for (int i = 0; i < 64 && fd_.valid() && !unread_->paused; i++) {
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
    progress();
    // Empty packets are never sent, so this is the end of file of a SOCK_SEQPACKET socket.
    if (n == 0) {
      closer::close(std::move(fds));
      fail("the other side closed the connection");
      return;
    }
    if (msg.msg_flags & MSG_TRUNC) {
      closer::close(std::move(fds));
      fail("received a packet of more than " + std::to_string(wire::kMaxPacket) + " bytes");
      return;
    }
    owner_->onPacket(this, std::string_view(receiveBuffer.get(), size_t(n)), std::move(fds),
                     (msg.msg_flags & MSG_CTRUNC) != 0);
  }
}

}  // namespace rn
