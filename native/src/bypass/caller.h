// What the parent sees of a process below the command that waits in a call: its descriptors and its memory.
//
// The parent may look because it owns the user namespace. What it reads is the process's, which goes on with its other
// threads meanwhile: so it is copied once, judged, and used, and never left to be read a second time.
#pragma once
#include <sys/types.h>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "fd.h"

class Caller {
 public:
  // `thread` as seccomp tells it.
  explicit Caller(pid_t thread);

  // 0 or an errno.
  int takeFd(int number, Fd* out) const;
  int read(uint64_t address, void* to, size_t length) const;
  // Whether the descriptor is closed on exec. 0 or an errno.
  int closesOnExec(int number, bool* out) const;
  // Whether one of the process's epoll sets holds the socket of that inode; true also where it has more than `limit`
  // descriptors, and that would take long to say.
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
