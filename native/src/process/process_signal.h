#pragma once

#include <sys/types.h>

#include <string>

namespace rn {

// Signals to processes that may have ended, and whose pid may have been reused.
namespace process {

// Sends a signal to the process with that pid and start time (proc(5), /proc/PID/stat, field 22). Returns 0, ESRCH if it has
// ended, or another errno of pidfd_send_signal(2).
int sendSignal(pid_t pid, const std::string& start_time, int number);

}  // namespace process

}  // namespace rn
