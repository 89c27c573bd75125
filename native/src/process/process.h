#pragma once

#include <sys/types.h>

namespace rn {

// Functions about this process and its children that Node does not have. They return 0 or an errno.
namespace process {

// Ignores the signal for good.
int ignoreSignal(int number);

// Has the descriptor closed in programs that are started.
int closeOnExec(int fd);

// Reaps a child that has ended: *status is that of wait(2), *ended is false while the child runs. ECHILD if there is no such
// child, or it was reaped already.
int reap(pid_t pid, bool* ended, int* status);

}  // namespace process

}  // namespace rn
