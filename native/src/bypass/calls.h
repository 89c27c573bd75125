// The calls of programs below the command that wait for an answer (seccomp_unotify(2)).
#pragma once
#include <linux/seccomp.h>
#include <cstdint>
#include <vector>

#include "fd.h"

// One call. It may be gone at any moment: its thread was killed, or a signal took it out of the call, which then comes
// again.
struct Call {
  uint64_t id = 0;
  // The thread, as we count.
  int thread = 0;
  // Of seccomp(2): only calls of our own ABI come here.
  int number = 0;
  uint64_t arguments[6] = {};
};

class Calls {
 public:
  explicit Calls(Fd notifications);

  int fd() const { return fd_.get(); }
  // False where none waits.
  bool receive(Call* out);
  // Whether it still waits. What was read by its thread's number before belongs to it only if so (numbers are given again).
  bool waits(const Call& call) const;
  // 0 or an errno: what the program's call returns. False where it is gone.
  bool answer(const Call& call, int error);
  // The kernel carries it out as if there were no filter.
  void letGoOn(const Call& call);
  // Puts `fd` in the place of the program's descriptor. False where the call is gone, or the program may have no more.
  bool replace(const Call& call, int number, const Fd& fd, bool closeOnExec);

 private:
  bool send(const Call& call, int error, uint32_t flags);

  Fd fd_;
  // As large as this kernel has them.
  std::vector<char> notification_;
  std::vector<char> response_;
};
