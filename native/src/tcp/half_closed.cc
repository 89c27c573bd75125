#include "tcp/half_closed.h"

namespace rn {

void HalfClosed::add(Member* member) {
  if (member->listed_) return;
  if (members_.empty()) loop_.wantTicks(true);
  member->listed_ = true;
  member->due_ = loop_.now() + periodMs_;
  member->place_ = members_.insert(members_.end(), member);
}

void HalfClosed::remove(Member* member) {
  if (!member->listed_) return;
  member->listed_ = false;
  members_.erase(member->place_);
  if (members_.empty()) loop_.wantTicks(false);
}

void HalfClosed::tick() {
  uint64_t now = loop_.now();
  while (!members_.empty() && members_.front()->due_ <= now) {
    Member* member = members_.front();
    member->due_ = now + periodMs_;
    members_.splice(members_.end(), members_, member->place_);
    member->onCheck(now);
  }
}

}  // namespace rn
