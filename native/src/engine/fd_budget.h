// How ports share the descriptors of connections and flows.
//
// Theory of operation. Some descriptors are reserved for the rest of the process (the API above all, which must be able to
// report that there are none left), so that a flood of connections cannot use up the last ones. Of the others a port may
// hold any number as long as a reserve stays free; of the reserve it may hold no more than it leaves. So each new client
// finds some free, however many another port holds.
//
// A TCP connection stays until it ends. A UDP flow can be evicted: its client gets another one with its next datagram.
// So a port without room gets it from the UDP port that holds most, if that one holds more than itself.
#pragma once
#include <cstdint>
#include <unordered_set>

namespace rn {

class FdBudget {
 public:
  // What a port holds.
  class Holder {
   public:
    virtual ~Holder() = default;
    uint64_t held() const { return held_; }
    // Frees what it needs least. Returns false where nothing can be freed.
    virtual bool evictOne() { return false; }

   private:
    friend class FdBudget;
    uint64_t held_ = 0;
  };

  FdBudget();
  // Whether the port may hold so many more; evicts from others where necessary.
  bool makeRoom(const Holder* asking, uint64_t wanted);
  void acquire(Holder* holder, uint64_t n);
  void release(Holder* holder, uint64_t n);
  // Whether the port has something to evict.
  void setEvictable(Holder* holder, bool evictable);

 private:
  bool hasRoom(const Holder* asking, uint64_t wanted) const;

  uint64_t limit_;
  uint64_t reserve_;
  uint64_t used_ = 0;
  std::unordered_set<Holder*> evictable_;
};

}  // namespace rn
