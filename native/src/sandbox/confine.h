// Drops rights of this process that it does not need once the stack is set up, so that an attacker who takes it over through
// data from inside the namespaces gains less.
#pragma once

namespace rn {

namespace confine {

// All threads of this process, and what they start from now on: no new privileges (PR_SET_NO_NEW_PRIVS), and a seccomp
// filter that refuses calls which neither this program nor its helpers make, such as ptrace(2), bpf(2), keyctl(2) or loading
// kernel modules. Returns 0 or an errno; ENOSYS if there is no filter for this machine, and nothing has changed then.
int process();

// The calling thread, with Landlock: it cannot open, execute or create files any more. Descriptors that are open stay
// usable. It may bind and connect TCP sockets: those of the pool (pool/pooled_dials.h), which Landlock cannot distinguish
// from others. Returns 0 or an errno; ENOSYS or EOPNOTSUPP where the kernel does not support it.
int thread();

}  // namespace confine

}  // namespace rn
