// Runs code in another network namespace.
#pragma once
#include <errno.h>
#include <sched.h>
#include <thread>

namespace rn {

namespace netns {

// Runs `task` on a thread of its own that has entered the network namespace of that descriptor (setns(2)), so that no other
// thread ever changes its namespace. Returns the result of the task, or the errno of setns.
template <typename Task>
int in(int fd, Task task) {
  int error = 0;
  std::thread([&] { error = setns(fd, CLONE_NEWNET) != 0 ? errno : task(); }).join();
  return error;
}

}  // namespace netns

}  // namespace rn
