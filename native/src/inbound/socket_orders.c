#include "inbound/socket_orders.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

union fds_space {
  struct cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int) * MOST_ORDERED)];
};

static int is_known(const struct socket_order *order) {
  if (order->count > MOST_ORDERED || order->place > IN_CHILD) return 0;
  if (order->domain == AF_NETLINK) {
    return order->type == SOCK_RAW && (order->protocol == NETLINK_SOCK_DIAG || order->protocol == NETLINK_ROUTE);
  }
  int tcp = order->type == SOCK_STREAM && order->protocol == IPPROTO_TCP;
  int udp = order->type == SOCK_DGRAM && order->protocol == IPPROTO_UDP;
  return (order->domain == AF_INET || order->domain == AF_INET6) && (tcp || udp);
}

/* Returns 1 with an order and its socket (-1 if it has none), 0 for a message that is not an order, -1 at the end. */
static int receive(int orders, struct socket_order *order, int *gateway) {
  union fds_space space;
  struct iovec iov = {order, sizeof *order};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  msg.msg_control = &space;
  msg.msg_controllen = CMSG_SPACE(sizeof(int));
  ssize_t n = recvmsg(orders, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  if (n == 0) return -1;
  *gateway = -1;
  struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
  if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
    memcpy(gateway, CMSG_DATA(c), sizeof *gateway);
  }
  return n == sizeof *order && is_known(order);
}

/* Returns an errno. */
static int enter_namespace_of(int gateway) {
  int netns = ioctl(gateway, SIOCGSKNS);
  if (netns < 0) return errno;
  int error = setns(netns, CLONE_NEWNET) == 0 ? 0 : errno;
  close(netns);
  return error;
}

static int make(const struct socket_order *order) {
  int flags = SOCK_CLOEXEC | (order->domain == AF_NETLINK ? 0 : SOCK_NONBLOCK);
  int fd = socket(order->domain, order->type | flags, order->protocol);
  const int on = 1;
  /* As a relay needs them: see keepUrgentInLine() in system/sockets.h. */
  if (fd >= 0 && order->type == SOCK_STREAM) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
  }
  return fd;
}

static void reply(int orders, uint32_t id, const int *fds, size_t count) {
  union fds_space space;
  struct iovec iov = {&id, sizeof id};
  struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
  if (count > 0) {
    size_t size = sizeof(int) * count;
    msg.msg_control = &space;
    msg.msg_controllen = CMSG_SPACE(size);
    memset(&space, 0, sizeof space);
    space.header.cmsg_level = SOL_SOCKET;
    space.header.cmsg_type = SCM_RIGHTS;
    space.header.cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(&space.header), fds, size);
  }
  while (sendmsg(orders, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

int serve_socket_order(int orders, int (*enter_child)(void)) {
  struct socket_order order = {0};
  int gateway = -1;
  int received = receive(orders, &order, &gateway);
  pid_t pid = received == 1 ? fork() : -1;
  if (received == 1 && pid < 0) reply(orders, order.id, NULL, 0);
  if (pid == 0) {
    int fds[MOST_ORDERED];
    size_t count = 0;
    int error = order.place == IN_CHILD ? enter_child() : enter_namespace_of(gateway);
    while (error == 0 && count < order.count && (fds[count] = make(&order)) >= 0) count++;
    reply(orders, order.id, fds, count);
    _exit(0);
  }
  if (gateway >= 0) close(gateway);
  return received < 0 ? -1 : 0;
}
