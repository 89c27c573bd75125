#pragma once

// A copy of a program in memory, for programs that run in a container: processes there can change neither the file itself,
// although it may belong to the same user, nor the copy (memfd_create(2), F_ADD_SEALS).
#include <string>

namespace rn {

// Returns its descriptor, or -1 with errno.
int sealedCopy(const std::string& path);

}  // namespace rn
