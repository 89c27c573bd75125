// System calls of programs below the command that wait for an answer (seccomp_unotify(2)).
#pragma once
#include <linux/seccomp.h>
#include <cstdint>
#include <vector>

#include "system/fd.h"

namespace rn {

// One call. It may be gone at any moment: its thread was killed, or a signal interrupted the call, which is then made
// again.
struct Call {
  uint64_t id = 0;
  // The thread, as this pid namespace counts.
  int thread = 0;
  // Of the native ABI: the filter lets no others through.
  int number = 0;
  uint64_t arguments[6] = {};
};

class Calls {
 public:
  explicit Calls(Fd notifications);

  int fd() const { return fd_.get(); }
  // False where none is pending.
  bool receive(Call* out);
  // Whether it is still pending. Only then does what was read by its thread's number before belong to it: numbers are
  // reused.
  bool isPending(const Call& call) const;
  // Has the program's call return 0 or an errno. False where it is gone.
  bool answer(const Call& call, int error);
  // Has the kernel carry it out as if there were no filter.
  void continueSyscall(const Call& call);
  // Replaces the program's descriptor by `fd`. False where the call is gone, or at the program's limit of
  // descriptors.
  bool replace(const Call& call, int number, const Fd& fd, bool closeOnExec);

 private:
  bool send(const Call& call, int error, uint32_t flags);

  Fd fd_;
  // Of the sizes that this kernel uses.
  std::vector<char> notification_;
  std::vector<char> response_;
};

}  // namespace rn
