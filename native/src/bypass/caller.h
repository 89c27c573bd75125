// Access to a process below the command that waits in a system call: its descriptors and its memory.
//
// The parent has access because it owns the user namespace. Other threads of the process keep running and may change what
// is read: so it is copied once, checked, and used, and never read a second time.
#pragma once
#include <sys/types.h>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "system/fd.h"

namespace rn {

class Caller {
 public:
  // `thread` as in the notification of seccomp.
  explicit Caller(pid_t thread);

  // 0 or an errno.
  int takeFd(int number, Fd* out) const;
  int read(uint64_t address, void* to, size_t length) const;
  // Whether the descriptor is closed on exec. 0 or an errno.
  int closesOnExec(int number, bool* out) const;
  // Whether one of the process's epoll sets holds the socket of that inode; also true where it has more than `limit`
  // descriptors, which would take long to check.
  bool polls(ino_t inode, int limit) const;

 private:
  pid_t thread_;
  Fd pidfd_;
  int error_ = 0;
};

namespace processes {

// Calls `found` with a descriptor of each socket among `inodes` that a process below `root` has open; once for each
// process that has it.
void eachSocketBelow(pid_t root, const std::set<ino_t>& inodes, const std::function<void(Fd)>& found);

}  // namespace processes

}  // namespace rn
