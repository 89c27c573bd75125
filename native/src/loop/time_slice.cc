#include "loop/time_slice.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cstdint>

namespace rn {

namespace {
constexpr uint64_t kSliceNs = 1000 * 1000;

// The first version of struct sched_attr, which the C library does not declare.
struct SchedAttr {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
};
}  // namespace

void shortenTimeSlice() {
  SchedAttr attributes{};
  // What the caller or the user has chosen stays: nice value, flags, and any policy but the ordinary one.
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.size = sizeof attributes;
  attributes.runtime = kSliceNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace rn
