#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "launcher/launcher.h"
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

static int choose_congestion_control(void) {
  char now[64] = "";
  int fd = open("/proc/sys/net/ipv4/tcp_congestion_control", O_RDWR | O_CLOEXEC);
  if (fd < 0) return errno;
  ssize_t n = read(fd, now, sizeof now - 1);
  int error = n < 0 ? errno : 0;
  if (n > 0 && strncmp(now, "bbr", 3) == 0) {
    for (int i = 1; i < request.count; i++) {
      error = pwrite(fd, request.words[i], strlen(request.words[i]), 0) < 0 ? errno : 0;
      if (error == 0) break;
    }
  }
  close(fd);
  return error;
}

/*
 * congestion-control NAME NAME: sets the first that this network namespace may use, if its default paces (bbr; inherited
 * from the initial namespace, not from the parent's). Pacing makes loopback several times slower.
 */
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
