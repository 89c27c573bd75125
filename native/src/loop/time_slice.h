// The time slice of a thread.
#pragma once

namespace rn {

// Requests slices of a millisecond for the calling thread (sched_setattr(2), sched_runtime): its share of the processor
// stays the same, in more and shorter turns, so it waits less for the next one. A thread that serves many connections
// after short waits gains by that, above all when it has yielded, which costs it about one slice. The kernel's default is
// .7 to 2.8 ms, by the number of processors. Linux 6.12 or later; earlier ones ignore it, and so does this where it is
// not permitted.
void shortenTimeSlice();

}  // namespace rn
