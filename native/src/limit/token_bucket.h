// A limit of bytes a second, with a burst: a token bucket. The clock is the caller's.
#pragma once
#include <algorithm>
#include <cstdint>

namespace rn {

class TokenBucket {
 public:
  static constexpr uint64_t kMostRate = 1000000000000;

  // `rate` in bytes a second, from 1 to kMostRate; `burst` in bytes, at most as much. `now` in microseconds, of a clock
  // that does not go back.
  TokenBucket(uint64_t rate, uint64_t burst, uint64_t now)
      : rate_(std::clamp<uint64_t>(rate, 1, kMostRate)),
        burst_(int64_t(std::clamp<uint64_t>(burst, 1, kMostRate))),
        tokens_(burst_),
        last_(now) {}

  // A burst that lets streams run evenly: a 20th of a second, and not less than one large segment.
  static uint64_t usualBurst(uint64_t rate) { return std::max<uint64_t>(rate / 20, 64 * 1024); }

  // How many bytes may be sent now.
  uint64_t available(uint64_t now) {
    fill(now);
    return uint64_t(std::max<int64_t>(tokens_, 0));
  }

  // Counts bytes that were sent. More than are available make a debt, which has to be paid first: a datagram is whole.
  void take(uint64_t bytes, uint64_t now) {
    fill(now);
    tokens_ -= int64_t(std::min<uint64_t>(bytes, kMostRate));
    tokens_ = std::max(tokens_, -int64_t(kMostRate));
  }

  // Of what was taken, and not sent.
  void giveBack(uint64_t bytes) { tokens_ = std::min<int64_t>(tokens_ + int64_t(std::min(bytes, kMostRate)), burst_); }

  // Microseconds until so many bytes are available; of more than the burst, until it is full.
  uint64_t wait(uint64_t bytes, uint64_t now) {
    fill(now);
    int64_t missing = int64_t(std::min<uint64_t>(bytes, uint64_t(burst_))) - tokens_;
    if (missing <= 0) return 0;
    uint64_t seconds = uint64_t(missing) / rate_;
    uint64_t rest = uint64_t(missing) % rate_;
    return seconds * kSecond + (rest * kSecond - std::min(fraction_, rest * kSecond) + rate_ - 1) / rate_;
  }

 private:
  static constexpr uint64_t kSecond = 1000000;

  void fill(uint64_t now) {
    if (now <= last_) return;
    uint64_t elapsed = now - last_;
    last_ = now;
    // Products stay below 2^63.
    uint64_t seconds = std::min<uint64_t>(elapsed / kSecond, kSecond);
    fraction_ += elapsed % kSecond * rate_;
    tokens_ = std::min<int64_t>(tokens_ + int64_t(seconds * rate_ + fraction_ / kSecond), burst_);
    fraction_ = tokens_ == burst_ ? 0 : fraction_ % kSecond;
  }

  uint64_t rate_;
  int64_t burst_;
  int64_t tokens_;
  uint64_t fraction_ = 0;  // of a byte, in millionths
  uint64_t last_;
};

}  // namespace rn
