// Closes descriptors that came from the untrusted side, on threads of its own.
//
// close(2) blocks if the sender of the descriptor has arranged that: on a TCP socket until its data is delivered
// (SO_LINGER, socket(7)), on a file of a FUSE file system until its server answers. A thread here that blocks is
// interrupted every 100 ms, which ends the first case; in the second the thread is stuck, and another one takes its place,
// up to a limit. Idle threads end.
#pragma once
#include <vector>
#include "system/fd.h"

namespace rn {

namespace closer {

// Any thread; never blocks. Invalid descriptors are ignored.
void close(Fd fd);
void close(std::vector<Fd> fds);

}  // namespace closer

}  // namespace rn
