#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/gateway.h"
#include "inbound/socket_orders.h"
#include "launcher/launcher.h"
#include "system/congestion_control.h"
#include "system/large_segments.h"

static enum outcome outcome_of(int error, const char *what, const char *object) {
  return error != 0 ? fail(error, what, object) : DONE;
}

static int bring_up_loopback(void) {
  struct ifreq ifr = {0};
  memcpy(ifr.ifr_name, "lo", sizeof "lo");
  ifr.ifr_flags = IFF_UP | IFF_RUNNING;
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (s < 0) return errno;
  int error = ioctl(s, SIOCSIFFLAGS, &ifr) == 0 ? 0 : errno;
  close(s);
  return error;
}

enum outcome request_loopback_up(void) { return outcome_of(in_netns(bring_up_loopback), "bring up lo", NULL); }

static int choose_congestion_control(void) { return avoid_pacing((const char *const *)&request.words[1]); }

/* congestion-control NAME NAME: sets the first that this network namespace may use, if its default paces. */
enum outcome request_congestion_control(void) {
  return outcome_of(in_netns(choose_congestion_control), "choose the congestion control", NULL);
}

enum outcome request_large_segments(void) {
  return outcome_of(in_netns(allow_large_segments), "let lo carry large segments", NULL);
}

/* Copies a device's name into a request for ioctl(2). Returns an errno. */
static int set_name(struct ifreq *ifr, const char *name) {
  size_t length = strlen(name);
  if (length >= sizeof ifr->ifr_name) return ENAMETOOLONG;
  memcpy(ifr->ifr_name, name, length + 1);
  return 0;
}

static int keep_tap(void) {
  struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
  int error = set_name(&ifr, request.words[1]);
  if (error != 0) return error;
  int keep = strcmp(request.words[2], "keep") == 0;
  int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  if (ioctl(fd, TUNSETIFF, &ifr) != 0 || ioctl(fd, TUNSETPERSIST, keep) != 0) error = errno;
  close(fd);
  return error;
}

/*
 * tap NAME keep: makes a tap device that exists before a program attaches to it, and stays when that program ends, so that
 * its end need not wait until the kernel has removed the device. It goes with the network namespace, or with "drop".
 */
enum outcome request_tap(void) { return outcome_of(in_netns(keep_tap), "make the tap device", request.words[1]); }

static int allow_multicast(void) {
  struct ifreq ifr = {0};
  int error = set_name(&ifr, request.words[1]);
  if (error != 0) return error;
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (s < 0) return errno;
  error = ioctl(s, SIOCGIFFLAGS, &ifr) == 0 ? 0 : errno;
  ifr.ifr_flags |= IFF_MULTICAST;
  if (error == 0 && ioctl(s, SIOCSIFFLAGS, &ifr) < 0) error = errno;
  close(s);
  return error;
}

/* multicast NAME: sets that flag of the device, which slirp4netns clears when it sets its own flags. */
enum outcome request_multicast(void) {
  return outcome_of(in_netns(allow_multicast), "allow multicast on", request.words[1]);
}

/* Returns 0 if the main routing table has an IPv4 default route, else ENOENT (proc(5), /proc/PID/net/route). */
static int find_default_route(void) {
  char line[512], destination[32];
  FILE *f = fopen("/proc/thread-self/net/route", "re");
  if (f == NULL) return errno;
  int error = ENOENT;
  while (error != 0 && fgets(line, sizeof line, f) != NULL) {
    if (sscanf(line, "%*s %31s", destination) == 1 && strcmp(destination, "00000000") == 0) error = 0;
  }
  fclose(f);
  return error;
}

/* has-default-route: replies "yes" or "no" */
enum outcome request_has_default_route(void) {
  int error = in_netns(find_default_route);
  if (error != 0 && error != ENOENT) return fail(error, "read the routes", NULL);
  send_words("ok", error == 0 ? "yes" : "no", NULL);
  return REPLIED;
}

/* CHILD PREFIX GATEWAY DNS of a family. Returns an errno. */
static int parse_addresses(char *const words[4], int family, struct gateway_addresses *out) {
  long prefix = atol(words[1]);
  if (prefix < 1 || prefix > (family == AF_INET ? 31 : 127)) return EINVAL;
  out->family = family;
  out->prefix = (unsigned char)prefix;
  int valid = inet_pton(family, words[0], out->child) == 1 && inet_pton(family, words[2], out->gateway) == 1 &&
              inet_pton(family, words[3], out->dns) == 1;
  return valid ? 0 : EINVAL;
}

static void hardware_address(const unsigned char address[HARDWARE_ADDRESS], char text[18]) {
  const unsigned char *a = address;
  snprintf(text, 18, "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
}

/*
 * In a process of its own, since the network namespace that it comes to is not the launcher's. Replies on the socket that
 * came with the request.
 */
static void reply_with_gateway(const struct gateway_plan *plan) {
  close_inherited();
  close(control);
  control = request.fds[0];
  struct gateway gateway = {0};
  const char *what = "enter the network namespace";
  int error = enter_detached_netns();
  if (error == 0) error = make_gateway(plan, &gateway, &what);
  if (error != 0) {
    reply_error(error, what, NULL);
    return;
  }
  char index[16], child[18], other[18];
  snprintf(index, sizeof index, "%u", gateway.index);
  hardware_address(gateway.child_mac, child);
  hardware_address(gateway.gateway_mac, other);
  send_with_fds(gateway.sockets, gateway.socket_count, "ok", index, child, other, gateway.translates ? "nat" : "tproxy",
                NULL);
}

/*
 * gateway IFNAME MTU MARK CHILD PREFIX GATEWAY DNS [CHILD PREFIX GATEWAY DNS]: connects the network namespace to a gateway
 * namespace (gateway/gateway.h) over IPv4, and over IPv6 if there are words for it. The result comes on the socket that comes
 * with the request, while others are served: "ok", the index of the gateway's device, the hardware addresses of the child's
 * and of the gateway's, "tproxy" or "nat" (struct gateway, `translates`), and the sockets in this order: packet-in, packet-out, TCP and UDP over IPv4, TCP and UDP over IPv6;
 * or "error" like a reply.
 */
enum outcome request_gateway(void) {
  struct gateway_plan plan = {.ifname = request.words[1],
                              .mtu = (uint32_t)atol(request.words[2]),
                              .mark = (uint32_t)strtoul(request.words[3], NULL, 10)};
  int error = request.count == 8 || request.count == 12 ? 0 : EINVAL;
  if (error == 0) error = parse_addresses(&request.words[4], AF_INET, &plan.ipv4);
  if (error == 0 && request.count == 12) error = parse_addresses(&request.words[8], AF_INET6, &plan.ipv6);
  if (error == 0 && request.fd_count == 0) error = EBADF;
  if (error != 0) return fail(error, "understand the addresses of", "gateway");
  pid_t pid = fork();
  if (pid < 0) return fail(errno, "fork", NULL);
  if (pid == 0) {
    reply_with_gateway(&plan);
    _exit(0);
  }
  return DONE;
}

int socket_orders = -1;

/* socket-orders: makes sockets on orders that come on the socket that comes with the request, while a command runs. */
enum outcome request_socket_orders(void) {
  int fd = keep_request_fd();
  if (fd < 0) return fail(errno, "keep the socket of", "socket-orders");
  if (socket_orders >= 0) close(socket_orders);
  socket_orders = fd;
  return DONE;
}

void serve_socket_orders(void) {
  if (serve_socket_order(socket_orders, enter_detached_netns) == 0) return;
  close(socket_orders);
  socket_orders = -1;
}
