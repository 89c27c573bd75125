#include "tcp/pipe_pool.h"

#include <fcntl.h>

namespace rn {

std::unique_ptr<Pipe> PipePool::acquire(uint64_t nowMs) {
  if (!free_.empty()) {
    std::unique_ptr<Pipe> pipe = std::move(free_.back());
    free_.pop_back();
    return pipe;
  }
  if (made_ >= share_ || nowMs < retryAtMs_) return nullptr;
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) {
    retryAtMs_ = nowMs + 1000;
    return nullptr;
  }
  auto pipe = std::make_unique<Pipe>();
  pipe->read.reset(fds[0]);
  pipe->write.reset(fds[1]);
  for (uint32_t size : kSizes) {
    if (made_ + size > share_) continue;
    if (fcntl(fds[1], F_SETPIPE_SZ, int(size)) < int(size)) continue;
    pipe->size = size;
    made_ += size;
    return pipe;
  }
  retryAtMs_ = nowMs + 1000;
  return nullptr;
}

void PipePool::release(std::unique_ptr<Pipe> pipe) { free_.push_back(std::move(pipe)); }

void PipePool::discard(std::unique_ptr<Pipe> pipe) { made_ -= pipe->size; }

}  // namespace rn
