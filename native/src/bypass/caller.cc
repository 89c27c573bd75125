#include "bypass/caller.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <memory>
#include <string>
#include <unordered_map>

namespace rn {

namespace {

// pidfd_open(2), from Linux 6.9 on: opens a thread, and not the process that it belongs to.
constexpr unsigned kPidfdThread = O_EXCL;

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

// Calls `entry` with each name that is a number.
template <typename F>
void eachNumber(const std::string& directory, F entry) {
  Dir dir(opendir(directory.c_str()));
  if (!dir) return;
  while (dirent* e = readdir(dir.get())) {
    char* end;
    long number = strtol(e->d_name, &end, 10);
    if (end != e->d_name && *end == '\0') entry(int(number));
  }
}

bool readFile(const std::string& path, std::string* out) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return false;
  char buffer[4096];
  ssize_t n;
  while ((n = read(fd.get(), buffer, sizeof buffer)) > 0) out->append(buffer, size_t(n));
  return n == 0;
}

std::string fdinfo(pid_t process) { return "/proc/" + std::to_string(process) + "/fdinfo"; }

// The value after a name such as "flags:" at the start of a line; "" if there is none.
std::string field(const std::string& text, const std::string& name) {
  size_t at = text.rfind(name, 0) == 0 ? 0 : text.find("\n" + name);
  if (at == std::string::npos) return "";
  at = text.find(name, at) + name.size();
  return text.substr(at, text.find('\n', at) - at);
}

pid_t processOf(pid_t thread) {
  std::string status;
  if (!readFile("/proc/" + std::to_string(thread) + "/status", &status)) return thread;
  pid_t process = pid_t(atoi(field(status, "Tgid:").c_str()));
  return process > 0 ? process : thread;
}

int openPidfd(pid_t process, unsigned flags) { return int(syscall(SYS_pidfd_open, process, flags)); }

int takeFdOf(int pidfd, int number, Fd* out) {
  // Closed on exec.
  *out = Fd(int(syscall(SYS_pidfd_getfd, pidfd, number, 0)));
  return out->valid() ? 0 : errno;
}

}  // namespace

Caller::Caller(pid_t thread) : thread_(thread), pidfd_(openPidfd(thread, kPidfdThread)) {
  if (!pidfd_.valid() && errno == EINVAL) pidfd_ = Fd(openPidfd(processOf(thread), 0));
  if (!pidfd_.valid()) error_ = errno;
}

int Caller::takeFd(int number, Fd* out) const { return error_ != 0 ? error_ : takeFdOf(pidfd_.get(), number, out); }

int Caller::read(uint64_t address, void* to, size_t length) const {
  iovec here{to, length};
  iovec there{reinterpret_cast<void*>(uintptr_t(address)), length};
  ssize_t n = process_vm_readv(thread_, &here, 1, &there, 1, 0);
  if (n < 0) return errno;
  return size_t(n) == length ? 0 : EFAULT;
}

int Caller::closesOnExec(int number, bool* out) const {
  std::string text;
  if (!readFile(fdinfo(thread_) + "/" + std::to_string(number), &text)) return EACCES;
  std::string flags = field(text, "flags:");
  if (flags.empty()) return EPROTO;
  *out = (strtol(flags.c_str(), nullptr, 8) & O_CLOEXEC) != 0;
  return 0;
}

bool Caller::polls(ino_t inode, int limit) const {
  char wanted[32];
  // Of a line such as: tfd:        8 events:       19 data:                8  pos:0 ino:1a2b sdev:8
  snprintf(wanted, sizeof wanted, " ino:%lx sdev:", (unsigned long)inode);
  bool found = false;
  eachNumber(fdinfo(thread_), [&](int number) {
    std::string text;
    if (!found && limit-- <= 0) found = true;
    if (found || !readFile(fdinfo(thread_) + "/" + std::to_string(number), &text)) return;
    for (size_t at = text.find("\ntfd:"); at != std::string::npos && !found; at = text.find("\ntfd:", at + 1)) {
      found = text.substr(at + 1, text.find('\n', at + 1) - at - 1).find(wanted) != std::string::npos;
    }
  });
  return found;
}

namespace processes {

namespace {
// All below `root`, itself included.
std::vector<pid_t> below(pid_t root) {
  std::unordered_map<pid_t, std::vector<pid_t>> children;
  eachNumber("/proc", [&](int process) {
    std::string stat;
    if (!readFile("/proc/" + std::to_string(process) + "/stat", &stat)) return;
    // The name is in parentheses and may contain any character.
    size_t end = stat.rfind(") ");
    if (end == std::string::npos || end + 4 > stat.size()) return;
    children[pid_t(atoi(stat.c_str() + end + 4))].push_back(process);
  });
  std::vector<pid_t> found{root};
  for (size_t i = 0; i < found.size(); i++) {
    std::vector<pid_t> next = std::move(children[found[i]]);
    found.insert(found.end(), next.begin(), next.end());
  }
  return found;
}
}  // namespace

void eachSocketBelow(pid_t root, const std::set<ino_t>& inodes, const std::function<void(Fd)>& found) {
  if (inodes.empty()) return;
  for (pid_t process : below(root)) {
    Fd pidfd(openPidfd(process, 0));
    if (!pidfd.valid()) continue;
    std::set<ino_t> seen;
    eachNumber(fdinfo(process), [&](int number) {
      std::string text;
      if (!readFile(fdinfo(process) + "/" + std::to_string(number), &text)) return;
      ino_t inode = strtoul(field(text, "ino:").c_str(), nullptr, 10);
      if (inodes.count(inode) == 0 || !seen.insert(inode).second) return;
      Fd fd;
      if (takeFdOf(pidfd.get(), number, &fd) == 0) found(std::move(fd));
    });
  }
}

}  // namespace processes

}  // namespace rn
