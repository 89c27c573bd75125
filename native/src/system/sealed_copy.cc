#include "system/sealed_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "system/fd.h"

// Since Linux 6.3; where vm.memfd_noexec is 1 nothing else can be executed.
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace rn {

int sealedCopy(const std::string& path) {
  Fd from(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from.valid()) return -1;
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = memfd_create("rootless-net", flags | MFD_EXEC);
  if (fd < 0 && errno == EINVAL) fd = memfd_create("rootless-net", flags);
  Fd copy(fd);
  if (!copy.valid()) return -1;
  ssize_t n;
  while ((n = sendfile(copy.get(), from.get(), nullptr, 1 << 20)) > 0) {
  }
  if (n < 0) return -1;
  if (fcntl(copy.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) return -1;
  return copy.release();
}

}  // namespace rn
