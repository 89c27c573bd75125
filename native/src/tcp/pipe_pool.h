// Pipes for splice(2), shared by all connections of a thread.
//
// A pipe is taken when bytes arrive and given back when the last of them has left, so idle connections hold none. Pipe
// pages are rationed per user (fs.pipe-user-pages-soft, pipe(7)): when another process of the user has used them up, a
// new pipe has two pages and F_SETPIPE_SZ fails with EPERM; splice through such a pipe is several times slower than
// recv and send. So a pipe that cannot be made large is no pipe: take() returns none, and does not try again for a
// second.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>
#include "fd.h"

struct Pipe {
  Fd read;
  Fd write;
};

class PipePool {
 public:
  // Bytes; what splice moves at most at once. Measured best of 64 KiB to 1 MiB for one stream each way.
  static constexpr int kPipeSize = 512 * 1024;

  // None where no large pipe can be had.
  std::unique_ptr<Pipe> take(uint64_t nowMs);
  // The pipe must be empty.
  void give(std::unique_ptr<Pipe> pipe);
  // For a pipe that has bytes left in it.
  void discard(std::unique_ptr<Pipe> pipe);

 private:
  static constexpr size_t kMaxPipes = 32;
  std::vector<std::unique_ptr<Pipe>> free_;
  size_t made_ = 0;
  uint64_t retryAtMs_ = 0;
};
