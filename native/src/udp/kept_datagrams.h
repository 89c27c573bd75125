// The first datagrams of a flow, until its destination is known. What all flows keep together is bounded, so that many
// clients cannot use up the memory.
#pragma once
#include <atomic>
#include <string>
#include <vector>

namespace rn {

class KeptDatagrams {
 public:
  struct Datagram {
    std::string data;
    // As in UdpBatch::Message.
    uint16_t segment;
    bool counted;
  };

  // `total` is what all flows keep, in bytes, on all threads.
  explicit KeptDatagrams(std::atomic<size_t>* total) : total_(total) {}
  ~KeptDatagrams() { clear(); }
  KeptDatagrams(const KeptDatagrams&) = delete;
  KeptDatagrams& operator=(const KeptDatagrams&) = delete;

  // Drops what does not fit, as a socket's buffer does.
  void keep(const char* data, size_t length, uint16_t segment, bool counted) {
    size_t size = length + sizeof(Datagram) + kOverhead;
    if (size_ + size > kMaxOfFlow || *total_ + size > kMaxOfAll) return;
    size_ += size;
    *total_ += size;
    datagrams_.push_back({std::string(data, length), segment, counted});
  }
  void clear() {
    *total_ -= size_;
    size_ = 0;
    datagrams_.clear();
    datagrams_.shrink_to_fit();
  }
  std::vector<Datagram>::iterator begin() { return datagrams_.begin(); }
  std::vector<Datagram>::iterator end() { return datagrams_.end(); }

 private:
  // More than any burst that a server's own socket would hold (net.core.rmem_default).
  static constexpr size_t kMaxOfFlow = 2 << 20;
  static constexpr size_t kMaxOfAll = 32 << 20;
  static constexpr size_t kOverhead = 32;

  std::atomic<size_t>* total_;
  size_t size_ = 0;
  // Most flows have none: a deque has memory even so.
  std::vector<Datagram> datagrams_;
};

}  // namespace rn
