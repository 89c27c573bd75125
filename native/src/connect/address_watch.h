// Notices changes of this network namespace's addresses, and of its routes and rules where that is wanted: RTM_NEWADDR,
// RTM_DELROUTE … (rtnetlink(7)). An IPv6 address is reported again when it is usable, after duplicate address detection.
#pragma once
#include <functional>

#include "loop/loop.h"
#include "system/fd.h"

namespace rn {

class AddressWatch : public Handler, public DeferredDelete {
 public:
  // `changed` is called on the loop's thread, once for changes that came together; also when reports were lost.
  AddressWatch(Loop& loop, bool routes, std::function<void()> changed);
  // Whether there is a socket for it.
  bool open() const { return fd_.valid(); }
  void close();

  void onEvents(uint32_t events) override;

 private:
  Loop& loop_;
  std::function<void()> changed_;
  Fd fd_;
};

}  // namespace rn
