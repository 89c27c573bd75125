#include "system/large_segments.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  LOOPBACK = 1,        /* lo is the first device of every network namespace */
  LARGEST = 8 * 65535, /* GSO_MAX_SIZE in the kernel */
  /* <linux/if_link.h>; older headers do not have the second */
  GSO_SIZE = 41,
  GSO_IPV4_SIZE = 63,
};

struct attribute {
  struct rtattr head;
  uint32_t value;
};

/* Sends, and reads one answer into `answer`. Its length, or -1. */
static ssize_t ask(int fd, struct nlmsghdr *request, void *answer, size_t size) {
  if (send(fd, request, request->nlmsg_len, 0) < 0) return -1;
  return recv(fd, answer, size, 0);
}

static int set_sizes(int fd) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
    struct attribute sizes[2];
  } request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
      .link = {.ifi_index = LOOPBACK},
      .sizes = {{{sizeof(struct attribute), GSO_SIZE}, LARGEST}, {{sizeof(struct attribute), GSO_IPV4_SIZE}, LARGEST}},
  };
  struct {
    struct nlmsghdr header;
    struct nlmsgerr result;
    char rest[256];
  } answer;
  ssize_t n = ask(fd, &request.header, &answer, sizeof answer);
  if (n < 0) return errno;
  if ((size_t)n < NLMSG_LENGTH(sizeof answer.result) || answer.header.nlmsg_type != NLMSG_ERROR) return EPROTO;
  return -answer.result.error;
}

/* What a kernel does not know is not refused (rtnetlink(7)), so what it has now is read back. */
static int check_sizes(int fd) {
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
  } request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_GETLINK, .nlmsg_flags = NLM_F_REQUEST},
      .link = {.ifi_index = LOOPBACK},
  };
  union {
    struct nlmsghdr header;
    char bytes[16 * 1024];
  } answer;
  ssize_t n = ask(fd, &request.header, &answer, sizeof answer);
  if (n < 0) return errno;
  if (!NLMSG_OK(&answer.header, (size_t)n) || answer.header.nlmsg_type != RTM_NEWLINK) return EPROTO;
  const struct ifinfomsg *link = NLMSG_DATA(&answer.header);
  size_t left = IFLA_PAYLOAD(&answer.header);
  for (const struct rtattr *a = IFLA_RTA(link); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    uint32_t value;
    if (a->rta_type != GSO_IPV4_SIZE || RTA_PAYLOAD(a) != sizeof value) continue;
    memcpy(&value, RTA_DATA(a), sizeof value);
    return value == LARGEST ? 0 : EOPNOTSUPP;
  }
  return EOPNOTSUPP;
}

int allow_large_segments(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return errno;
  int error = set_sizes(fd);
  if (error == 0) error = check_sizes(fd);
  close(fd);
  return error;
}
