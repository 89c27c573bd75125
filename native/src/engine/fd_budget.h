// How ports share the descriptors of connections and flows.
//
// Theory of operation. Some descriptors are reserved for the rest of the process (the API above all, which must be able to
// report that there are none left), so that a flood of connections cannot use up the last ones. Of the others a port may
// hold any number as long as a reserve stays free; of the reserve it may hold no more than it leaves. So each new client
// finds some free, however many another port holds.
//
// Descriptors that nobody uses yet (pool/socket_pool.h) go first where a port has no room, and are kept only as long as
// there is plenty.
//
// A TCP connection stays until it ends. A UDP flow can be evicted: its client gets another one with its next datagram.
// So a port without room gets it from the UDP port that holds most, if that one holds more than itself.
//
// The total is one for all threads of the engine, and each thread has a FdBudget of its own with the ports that it can evict
// from. Where none of them has enough, the other threads are asked, and the port tries again later. Two threads may take
// the last descriptors at the same time; what is reserved is more than that.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <unordered_set>
#include <vector>

namespace rn {

class FdBudget {
 public:
  // What all threads share.
  struct Total {
    Total();
    uint64_t limit;
    uint64_t reserve;
    std::atomic<uint64_t> used{0};
  };

  // What a port holds, on all threads.
  class Holder {
   public:
    virtual ~Holder() = default;
    uint64_t held() const { return held_; }
    // Frees what it needs least. Returns false where nothing can be freed.
    virtual bool evictOne() { return false; }

   private:
    friend class FdBudget;
    std::atomic<uint64_t> held_{0};
  };

  explicit FdBudget(Total& total) : total_(total) {}
  // `ask` calls evictForOthers() on other threads, and answered() after each; it returns how many these are.
  void onShortage(std::function<size_t(uint64_t more)> ask) { ask_ = std::move(ask); }
  // Any thread.
  void answered() { asked_--; }
  // Whether the port may hold so many more; evicts from others where necessary.
  bool makeRoom(const Holder* asking, uint64_t wanted);
  // Evicts some from the port that holds most, if it holds more than that.
  void evictForOthers(uint64_t more);
  // Any thread.
  void acquire(Holder* holder, uint64_t n);
  void release(Holder* holder, uint64_t n);
  // Whether the port has something to evict.
  void setEvictable(Holder* holder, bool evictable);
  // A holder of descriptors that nobody uses yet.
  void addSpare(Holder* spare) { spare_.push_back(spare); }
  // Whether it may hold so many more; and the most that it may hold at all.
  bool hasSpare(uint64_t wanted) const { return total_.used + wanted + 2 * total_.reserve <= total_.limit; }
  uint64_t mostSpare() const;
  // The process has no free ones, whatever is accounted for.
  void freeSpare();

 private:
  bool hasRoom(const Holder* asking, uint64_t wanted) const;
  bool evictFromMost(uint64_t more);
  bool evictSpare();

  Total& total_;
  std::function<size_t(uint64_t)> ask_;
  // Threads that have not answered yet; until then they are not asked again.
  std::atomic<size_t> asked_{0};
  std::vector<Holder*> spare_;
  std::unordered_set<Holder*> evictable_;
};

}  // namespace rn
