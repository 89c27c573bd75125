#include "bypass/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>

// Newer than some headers (Linux 6.6).
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif

namespace rn {

Calls::Calls(Fd notifications) : fd_(std::move(notifications)) {
  seccomp_notif_sizes sizes{};
  syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
  notification_.resize(std::max<size_t>(sizes.seccomp_notif, sizeof(seccomp_notif)));
  response_.resize(std::max<size_t>(sizes.seccomp_notif_resp, sizeof(seccomp_notif_resp)));
  // Program and parent take turns, so they are best on one processor.
  ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, 0);
}

bool Calls::receive(Call* out) {
  std::fill(notification_.begin(), notification_.end(), '\0');
  if (ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_RECV, notification_.data()) != 0) return false;
  seccomp_notif in;
  memcpy(&in, notification_.data(), sizeof in);
  out->id = in.id;
  out->thread = int(in.pid);
  out->number = in.data.nr;
  for (int i = 0; i < 6; i++) out->arguments[i] = in.data.args[i];
  return true;
}

bool Calls::isPending(const Call& call) const { return ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &call.id) == 0; }

bool Calls::send(const Call& call, int error, uint32_t flags) {
  std::fill(response_.begin(), response_.end(), '\0');
  seccomp_notif_resp out{};
  out.id = call.id;
  out.error = -error;
  out.flags = flags;
  memcpy(response_.data(), &out, sizeof out);
  return ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_SEND, response_.data()) == 0;
}

bool Calls::answer(const Call& call, int error) { return send(call, error, 0); }

void Calls::continueSyscall(const Call& call) { send(call, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE); }

bool Calls::replace(const Call& call, int number, const Fd& fd, bool closeOnExec) {
  seccomp_notif_addfd in{};
  in.id = call.id;
  in.flags = SECCOMP_ADDFD_FLAG_SETFD;
  in.srcfd = uint32_t(fd.get());
  in.newfd = uint32_t(number);
  in.newfd_flags = closeOnExec ? O_CLOEXEC : 0;
  return ioctl(fd_.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &in) >= 0;
}

}  // namespace rn
