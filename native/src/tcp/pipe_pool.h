// Pipes for splice(2), shared by all connections of a thread.
//
// A pipe is acquired when bytes arrive and released when the last of them has left, so idle connections hold none. Pipe
// pages are rationed per user (fs.pipe-user-pages-soft, pipe(7)): when another process of the user has used them up, a
// new pipe has two pages and F_SETPIPE_SZ fails with EPERM; splice through such a pipe is several times slower than
// recv and send. So a pipe that cannot be made large is not used: acquire() returns null, and does not try again for a
// second.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>
#include "system/fd.h"

namespace rn {

struct Pipe {
  Fd read;
  Fd write;
};

class PipePool {
 public:
  // In bytes; the most that splice moves at once. Measured best of 64 KiB to 1 MiB for one stream each way.
  static constexpr int kPipeSize = 512 * 1024;

  // `threads` is how many pools share what one user may have.
  explicit PipePool(size_t threads) : most_(std::max(kMaxPipes / threads, kMinPipes)) {}
  // Null if no large pipe is available.
  std::unique_ptr<Pipe> acquire(uint64_t nowMs);
  // The pipe must be empty.
  void release(std::unique_ptr<Pipe> pipe);
  // For a pipe that has bytes left in it.
  void discard(std::unique_ptr<Pipe> pipe);

 private:
  static constexpr size_t kMaxPipes = 32;
  static constexpr size_t kMinPipes = 4;
  size_t most_;
  std::vector<std::unique_ptr<Pipe>> free_;
  size_t made_ = 0;
  uint64_t retryAtMs_ = 0;
};

}  // namespace rn
