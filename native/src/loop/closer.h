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

// Any thread; never blocks, nor does the end of this process wait for it, where the kernel is Linux 6.10 or later. For our
// own descriptors whose close(2) takes long: that of a packet socket waits for all processors, for about 10 ms.
//
// The descriptor is sent to a socket that is in its own queue: nobody can receive it any more, and what is lost so is closed
// by the kernel (net/unix/garbage.c in Linux), since 6.10 by a worker of its own.
void leaveToKernel(Fd fd);

}  // namespace closer

}  // namespace rn
