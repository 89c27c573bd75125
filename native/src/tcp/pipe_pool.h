// Pipes for splice(2), shared by all connections of a thread.
//
// A pipe is acquired when bytes arrive and released when the last of them has left, so idle connections hold none. Pipe
// pages are rationed per user (fs.pipe-user-pages-soft, pipe(7)): when another process of the user has used them up, a
// new pipe has two pages and F_SETPIPE_SZ fails with EPERM; splice through such a pipe is several times slower than
// recv and send. So a pipe that cannot be made large is not used: acquire() returns null, and does not try again for a
// second. The pipes of all threads together have kShare bytes, a quarter of the kernel's default ration.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>
#include "system/fd.h"

namespace rn {

struct Pipe {
  Fd read;
  Fd write;
  // In bytes; the most that splice moves at once.
  uint32_t size = 0;
};

class PipePool {
 public:
  // `threads` is how many pools share what one user may have.
  explicit PipePool(size_t threads) : share_(std::max(kShare / threads, kMinShare)) {}
  // Null if no large pipe is available.
  std::unique_ptr<Pipe> acquire(uint64_t nowMs);
  // The pipe must be empty.
  void release(std::unique_ptr<Pipe> pipe);
  // For a pipe that has bytes left in it.
  void discard(std::unique_ptr<Pipe> pipe);

 private:
  // The largest that an ordinary user may have by default (fs.pipe-max-size), and the next one. The larger one lets a
  // stream that is alone move more at each turn of the relay, and so take fewer turns (loop/bulk_yield.h).
  static constexpr uint32_t kSizes[] = {1024 * 1024, 512 * 1024};
  static constexpr size_t kShare = 16 * 1024 * 1024;
  static constexpr size_t kMinShare = 4 * 1024 * 1024;
  size_t share_;
  std::vector<std::unique_ptr<Pipe>> free_;
  // Bytes of all pipes that exist.
  size_t made_ = 0;
  uint64_t retryAtMs_ = 0;
};

}  // namespace rn
