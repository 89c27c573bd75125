#include "sandbox/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "system/fd.h"

namespace rn {

namespace confine {

namespace {

#if defined(__x86_64__)
constexpr uint32_t kArch = AUDIT_ARCH_X86_64;
// Calls of the x32 ABI have numbers from here on.
constexpr uint32_t kX32 = 0x40000000;
#elif defined(__aarch64__)
constexpr uint32_t kArch = AUDIT_ARCH_AARCH64;
#endif

// Newer than some kernel headers; the numbers are the same on all machines.
constexpr long kLandlockCreateRuleset = 444;
constexpr long kLandlockRestrictSelf = 446;
constexpr uint32_t kIoUringSetup = 425;
constexpr uint32_t kIoUringRegister = 427;

// System calls that this process does not need and that have been used to gain privileges. Mounts and namespaces are not
// among them: a network's helper that is restarted makes its own sandbox.
// clang-format off
constexpr uint32_t kRefused[] = {
    __NR_ptrace,        __NR_process_vm_writev, __NR_kexec_load,   __NR_kexec_file_load,    __NR_init_module,
    __NR_finit_module,  __NR_delete_module,     __NR_bpf,          __NR_perf_event_open,    __NR_add_key,
    __NR_request_key,   __NR_keyctl,            __NR_userfaultfd,  __NR_open_by_handle_at,  __NR_swapon,
    __NR_swapoff,       __NR_reboot,            __NR_acct,         __NR_quotactl,           __NR_settimeofday,
    __NR_clock_settime, __NR_adjtimex,          __NR_syslog,       __NR_vhangup,            __NR_fanotify_init,
    __NR_lookup_dcookie, __NR_personality,
#ifdef __x86_64__
    __NR_iopl,          __NR_ioperm,            __NR_modify_ldt,
#endif
};
// clang-format on

int installFilter() {
#if defined(__x86_64__) || defined(__aarch64__)
  auto statement = [](uint16_t code, uint32_t k) { return sock_filter{code, 0, 0, k}; };
  auto jump = [](uint16_t code, uint32_t k, uint8_t yes, uint8_t no) { return sock_filter{code, yes, no, k}; };
  const sock_filter refuse = statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  const sock_filter unknown = statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
  std::vector<sock_filter> program = {
      statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      jump(BPF_JMP | BPF_JEQ | BPF_K, kArch, 1, 0),
      unknown,
      statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  auto on = [&](uint16_t test, uint32_t number, const sock_filter& action) {
    program.push_back(jump(uint16_t(BPF_JMP | BPF_K | test), number, 0, 1));
    program.push_back(action);
  };
#ifdef __x86_64__
  on(BPF_JGE, kX32, unknown);
#endif
  for (uint32_t number : kRefused) on(BPF_JEQ, number, refuse);
  // No new rings: libraries take this for a kernel without io_uring, and work without. libuv may have made one already,
  // from Node 22 on for its event loop, and would abort if it could not use it.
  for (uint32_t number : {kIoUringSetup, kIoUringRegister}) on(BPF_JEQ, number, unknown);
  program.push_back(statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));

  sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  // TSYNC: for all threads, no_new_privs included (seccomp(2)). SPEC_ALLOW: older kernels would make everything slower,
  // against an attack that does not concern a filter like this.
  long result = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
                        SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter);
  if (result < 0) return errno;
  // A positive result is the id of a thread that has a different filter already.
  return result > 0 ? ESRCH : 0;
#else
  return ENOSYS;
#endif
}

// Access rights by the version of the ABI that introduced them (landlock(7)).
uint64_t filesystemRights(long abi) {
  if (abi >= 5) return (1 << 16) - 1;
  if (abi >= 3) return (1 << 15) - 1;
  if (abi == 2) return (1 << 14) - 1;
  return (1 << 13) - 1;
}

}  // namespace

int process() {
#if !defined(__x86_64__) && !defined(__aarch64__)
  return ENOSYS;
#endif
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return installFilter();
}

int thread() {
  constexpr uint32_t kVersion = 1;
  long abi = syscall(kLandlockCreateRuleset, nullptr, 0, kVersion);
  if (abi < 0) return errno;
  // Restricted, without a rule that allows anything.
  uint64_t files = filesystemRights(abi);
  Fd ruleset(int(syscall(kLandlockCreateRuleset, &files, sizeof files, 0)));
  if (!ruleset.valid()) return errno;
  // For this thread only.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return errno;
  return syscall(kLandlockRestrictSelf, ruleset.get(), 0) == 0 ? 0 : errno;
}

}  // namespace confine

}  // namespace rn
