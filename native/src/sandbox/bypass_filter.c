/*
 * The filter that the command runs under with the port driver bypass (seccomp(2), seccomp_unotify(2)).
 *
 * It notifies the parent of listen, connect and bind, which wait for the parent's answer. Other ways to do the same are
 * closed: io_uring, whose operations seccomp does not see; data on a SYN (MSG_FASTOPEN), which connects by sending;
 * protocols on top of TCP (TCP_ULP), one of which, SMC, makes another kind of socket out of one of TCP (TLS in the kernel
 * goes with it); and calls of other ABIs, which have other numbers.
 *
 * Where the kernel has Landlock for TCP (Linux 6.7), the command can neither connect TCP sockets by itself nor trace
 * processes outside: the parent makes its connects. So even if a descriptor is swapped during a call that the parent has
 * the kernel continue (see bypass.cc), it does not become a connection of one of the host's sockets.
 */
#include "sandbox/bypass_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#endif

/* Newer than some kernel headers. The numbers are the same on all machines. */
enum {
  NR_IO_URING_SETUP = 425,
  NR_IO_URING_ENTER = 426,
  NR_IO_URING_REGISTER = 427,
  NR_LANDLOCK_CREATE_RULESET = 444,
  NR_LANDLOCK_RESTRICT_SELF = 446,
};
enum { CREATE_RULESET_VERSION = 1, FIRST_ABI_WITH_TCP = 4, ACCESS_NET_CONNECT_TCP = 2 };
struct landlock_attr {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
};

/* 0 or an errno. */
static int restrict_connects(void) {
  long abi = syscall(NR_LANDLOCK_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
  if (abi < 0) return errno;
  if (abi < FIRST_ABI_WITH_TCP) return ENOSYS;
  /* Without a rule that allows a port; files are not restricted. */
  struct landlock_attr attr = {0, ACCESS_NET_CONNECT_TCP};
  long ruleset = syscall(NR_LANDLOCK_CREATE_RULESET, &attr, sizeof attr, 0);
  if (ruleset < 0) return errno;
  int error = syscall(NR_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0 ? 0 : errno;
  close((int)ruleset);
  return error;
}

#ifdef NATIVE_ARCH

#define X32_BIT 0x40000000
#define DATA(field) ((uint32_t)offsetof(struct seccomp_data, field))
/* The lower half of an argument: both machines are little-endian, and the kernel uses no more of a flags word. */
#define ARGUMENT(i) (DATA(args) + 8 * (i))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (offset))
#define ON(number, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, (action))
/* A call whose flags are in argument `i`. */
/* clang-format off */
#define UNLESS_FASTOPEN(number, i)                                  \
  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 4),              \
      LOAD(ARGUMENT(i)),                                            \
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MSG_FASTOPEN, 0, 1),     \
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),    \
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
/* clang-format on */

/* The descriptor of the notifications, or -1. */
static int install_filter(void) {
  static struct sock_filter program[] = {
      LOAD(DATA(arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      LOAD(DATA(nr)),
#ifdef __x86_64__
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
#endif
      ON(__NR_connect, SECCOMP_RET_USER_NOTIF),
      ON(__NR_listen, SECCOMP_RET_USER_NOTIF),
      ON(__NR_bind, SECCOMP_RET_USER_NOTIF),
      /* As where it is disabled (kernel.io_uring_disabled). */
      ON(NR_IO_URING_SETUP, SECCOMP_RET_ERRNO | EPERM),
      ON(NR_IO_URING_ENTER, SECCOMP_RET_ERRNO | EPERM),
      ON(NR_IO_URING_REGISTER, SECCOMP_RET_ERRNO | EPERM),
      UNLESS_FASTOPEN(__NR_sendto, 3),
      UNLESS_FASTOPEN(__NR_sendmsg, 2),
      UNLESS_FASTOPEN(__NR_sendmmsg, 3),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_setsockopt, 0, 5),
      LOAD(ARGUMENT(1)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 3),
      LOAD(ARGUMENT(2)),
      /* As where the kernel does not have it. */
      ON(TCP_ULP, SECCOMP_RET_ERRNO | ENOENT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog filter = {sizeof program / sizeof *program, program};
  /* SPEC_ALLOW: older kernels would slow everything down against an attack that does not concern a filter like this. */
  return (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filter);
}

#else

static int install_filter(void) {
  errno = ENOSYS;
  return -1;
}

#endif

static void send_hello(int socket, const struct bypass_hello *hello, const int *fds) {
  struct iovec iov = {(void *)hello, sizeof *hello};
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE(sizeof(int) * BYPASS_HELLO_FDS)];
  } control;
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  if (fds != NULL) {
    memset(&control, 0, sizeof control);
    msg.msg_control = control.space;
    msg.msg_controllen = sizeof control.space;
    control.head.cmsg_level = SOL_SOCKET;
    control.head.cmsg_type = SCM_RIGHTS;
    control.head.cmsg_len = CMSG_LEN(sizeof(int) * BYPASS_HELLO_FDS);
    memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * BYPASS_HELLO_FDS);
  }
  while (sendmsg(socket, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

static void send_failure(int socket, const char *what) {
  struct bypass_hello hello = {errno, 0, ""};
  snprintf(hello.what, sizeof hello.what, "%s", what);
  send_hello(socket, &hello, NULL);
}

void bypass_begin(int hello_socket) {
  int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (tcp < 0) {
    send_failure(hello_socket, "socket");
    return;
  }
  int route = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (route < 0) {
    send_failure(hello_socket, "netlink socket");
    close(tcp);
    return;
  }
  /* Not required for root of the user namespace; but a setuid program must not have its calls answered by the parent. */
  int notifications = -1;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    send_failure(hello_socket, "prctl(PR_SET_NO_NEW_PRIVS)");
  } else if ((notifications = install_filter()) < 0) {
    send_failure(hello_socket, "seccomp(SECCOMP_FILTER_FLAG_NEW_LISTENER)");
  } else {
    struct bypass_hello hello = {0, restrict_connects() == 0, ""};
    int fds[BYPASS_HELLO_FDS] = {notifications, tcp, route};
    send_hello(hello_socket, &hello, fds);
    /* It is close-on-exec; but it must not stay open if exec fails, either. */
    close(notifications);
  }
  close(tcp);
  close(route);
}
