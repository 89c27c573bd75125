#include "gateway/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "system/congestion_control.h"

/* Devices that are made later begin with what `default` has. Values of `all` hold for each device (ip-sysctl.rst). */
static const struct {
  const char *path;
  const char *value;
  /* Why nothing works without it; NULL where it is only better with it. */
  const char *required;
} settings[] = {
    /* A SYN that is sent again comes from lo, with an address that lies behind gw0. */
    {"/proc/sys/net/ipv4/conf/all/rp_filter", "0", "switch off net.ipv4.conf.all.rp_filter"},
    {"/proc/sys/net/ipv4/conf/default/rp_filter", "0", "switch off net.ipv4.conf.default.rp_filter"},
    {"/proc/sys/net/ipv4/conf/lo/rp_filter", "0", "switch off net.ipv4.conf.lo.rp_filter"},
    /* Each SYN that comes this far belongs to a connection that was made on the host. */
    {"/proc/sys/net/ipv4/tcp_syncookies", "0", NULL},
    /*
     * What forged SYNs leave behind is gone soon, and leaves room for others meanwhile: for more than the parent admits in that
     * time (outbound/tcp/held_syns.h).
     */
    {"/proc/sys/net/ipv4/tcp_synack_retries", "1", NULL},
    {"/proc/sys/net/ipv4/tcp_max_syn_backlog", "16384", NULL},
    {"/proc/sys/net/core/somaxconn", "16384", NULL},
    {"/proc/sys/net/ipv4/conf/all/forwarding", "0", NULL},
    /* A client of a published port may use the same port of its own again within a minute. */
    {"/proc/sys/net/ipv4/tcp_tw_reuse", "1", NULL},
    /* The child does not choose routes of this namespace. */
    {"/proc/sys/net/ipv4/conf/all/accept_redirects", "0", NULL},
    {"/proc/sys/net/ipv4/conf/default/accept_redirects", "0", NULL},
    {"/proc/sys/net/ipv6/conf/default/accept_redirects", "0", NULL},
    {"/proc/sys/net/ipv6/conf/default/accept_ra", "0", NULL},
};

/* In containers /proc/sys is often read-only: then it does where the value is right already. Returns an errno. */
static int set(const char *path, const char *value) {
  char now[16] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  ssize_t n = read(fd, now, sizeof now - 1);
  int error = n < 0 ? errno : 0;
  close(fd);
  if (error != 0) return error;
  now[strcspn(now, "\n")] = '\0';
  if (strcmp(now, value) == 0) return 0;
  fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  error = write(fd, value, strlen(value)) < 0 ? errno : 0;
  close(fd);
  return error;
}

/* How long connections are tracked in a state, in s. */
#define TRACKED(state) "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_" state

void apply_translation_settings(void) {
  static const char as_if_established[] = "432000";
  /* A packet that is taken for an invalid one would not be translated. */
  set("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "1");
  /*
   * Where one port of a client has two connections to one address, the second is given another source port, but only after
   * the kernel has looked for sockets early, and found that of the first.
   */
  set("/proc/sys/net/ipv4/tcp_early_demux", "0");
  /* Connections may be half-closed for as long as programs want. */
  set(TRACKED("fin_wait"), as_if_established);
  set(TRACKED("close_wait"), as_if_established);
  /* The programs' own kernel waits for late packets. */
  set(TRACKED("time_wait"), "10");
  /* Datagrams are tracked for nothing. */
  set("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", "1");
}

int switch_on_ipv6(const char **what) {
  *what = "switch on IPv6";
  int error = set("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0");
  return error != 0 ? error : set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "0");
}

int apply_gateway_settings(const char **what) {
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    int error = set(settings[i].path, settings[i].value);
    if (error == 0 || settings[i].required == NULL) continue;
    *what = settings[i].required;
    return error;
  }
  avoid_pacing((const char *const[]){"cubic", "reno", NULL});
  return 0;
}
