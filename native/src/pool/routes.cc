#include "pool/routes.h"

namespace rn {

Route* Routes::slot(Target* target, const Address& source) {
  Family family = familyOf(source);
  if (source.isLoopback()) return &target->local[family];
  if (target->remote[family].state == Route::State::known) return &target->remote[family];
  auto [it, isNew] = target->clients.try_emplace(source.ip());
  if (isNew) count_++;
  return &it->second;
}

const Route* Routes::find(const std::string& target, const Address& source) {
  if (count_ >= kMaxRoutes) clear(epoch_);
  auto [it, isNew] = targets_.try_emplace(target);
  if (isNew) count_++;
  Route* route = slot(&it->second, source);
  if (route->state == Route::State::known) return route;
  if (route->state == Route::State::unknown && requested_.size() < kMaxRequested) {
    route->state = Route::State::requested;
    uint32_t id = nextId_++;
    requested_[id] = {target, source};
    wanted_.push_back({id, target, source.ip()});
  }
  return nullptr;
}

std::vector<Routes::Wanted> Routes::takeWanted() { return std::move(wanted_); }

const Route* Routes::onAnswer(const wire::Answer& answer) {
  auto requested = requested_.find(answer.id);
  if (requested == requested_.end()) return nullptr;
  Requested request = std::move(requested->second);
  requested_.erase(requested);
  auto it = targets_.find(request.target);
  if (it == targets_.end()) return nullptr;
  Target& target = it->second;
  Route* route = slot(&target, request.source);
  // Found before what has changed since: it is requested again.
  if (answer.epoch != epoch_) {
    *route = {};
    return nullptr;
  }
  if (!answer.perClient && !request.source.isLoopback()) {
    count_ -= target.clients.erase(request.source.ip());
    route = &target.remote[familyOf(request.source)];
  }
  auto addresses = std::make_shared<std::vector<Address>>();
  for (std::string_view ip : answer.ips) {
    Address address;
    if (Address::parse(std::string(ip), 0, &address)) addresses->push_back(address);
  }
  *route = {Route::State::known, answer.keepSource, answer.mark, std::move(addresses)};
  return route;
}

void Routes::clear(uint32_t epoch) {
  targets_.clear();
  requested_.clear();
  wanted_.clear();
  count_ = 0;
  epoch_ = epoch;
}

void Routes::forget(const std::string& target) {
  auto it = targets_.find(target);
  if (it == targets_.end()) return;
  count_ -= 1 + it->second.clients.size();
  targets_.erase(it);
}

}  // namespace rn
