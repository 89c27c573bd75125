#include "pool/epoch.h"

#include <fcntl.h>
#include <sys/mman.h>

namespace rn {

namespace {
constexpr size_t kSize = 4096;

std::atomic<uint32_t>* map(int fd, int protection) {
  void* at = mmap(nullptr, kSize, protection, MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<std::atomic<uint32_t>*>(at);
}

void unmap(const std::atomic<uint32_t>* page) { munmap(const_cast<std::atomic<uint32_t>*>(page), kSize); }
}  // namespace

void EpochPage::drop() {
  if (page_ != nullptr) unmap(page_);
  page_ = nullptr;
}

Fd EpochPage::renew() {
  drop();
  Fd fd(memfd_create("rootless-net epoch", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  bool made = fd.valid() && ftruncate(fd.get(), kSize) == 0 &&
              fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
  page_ = made ? map(fd.get(), PROT_READ) : nullptr;
  return page_ == nullptr ? Fd() : std::move(fd);
}

Epoch::~Epoch() {
  for (const auto* page : pages_) unmap(page);
}

void Epoch::advance() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (++value_ == 0) ++value_;
  for (auto* page : pages_) page->store(value_, std::memory_order_release);
}

void Epoch::publish(Fd fd) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto* page = map(fd.get(), PROT_READ | PROT_WRITE);
  if (page == nullptr) return;
  page->store(value_, std::memory_order_release);
  pages_.push_back(page);
}

}  // namespace rn
