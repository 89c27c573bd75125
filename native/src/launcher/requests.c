#include <errno.h>
#include <string.h>

#include "launcher/launcher.h"

/* For requests with that many words or more. */
#define AT_LEAST(words) (-(words))

static const struct {
  const char *name;
  int argc; /* words, the name included */
  int phase;
  enum outcome (*fn)(void);
} requests[] = {
    {"map", AT_LEAST(3), PHASE_ID_MAP, request_map},
    {"mapped", 2, PHASE_ID_MAP, request_mapped},

    {"environment", AT_LEAST(1), PHASE_SETUP, request_environment},
    {"loopback-up", 1, PHASE_SETUP, request_loopback_up},
    {"congestion-control", 3, PHASE_SETUP, request_congestion_control},
    {"large-segments", 1, PHASE_SETUP, request_large_segments},
    {"detach-netns", 2, PHASE_SETUP, request_detach_netns},
    {"propagation", 2, PHASE_SETUP, request_propagation},
    {"mount-proc", 1, PHASE_SETUP, request_mount_proc},
    {"mount-sysfs", 1, PHASE_SETUP, request_mount_sysfs},
    {"mount-cgroup2", 1, PHASE_SETUP, request_mount_cgroup2},
    {"bind-file", 4, PHASE_SETUP, request_bind_file},
    {"copy-up", 2, PHASE_SETUP, request_copy_up},
    {"bypass", 1, PHASE_SETUP, request_bypass},
    {"activate", 2, PHASE_SETUP, request_activate},
    {"more", AT_LEAST(2), PHASE_SETUP | PHASE_RUNNING, request_more},
    {"run", AT_LEAST(2), PHASE_SETUP, request_run},
    {"idle", 1, PHASE_SETUP, request_idle},

    {"tap", 3, PHASE_SETUP | PHASE_RUNNING, request_tap},
    {"multicast", 2, PHASE_SETUP | PHASE_RUNNING, request_multicast},
    {"has-default-route", 1, PHASE_SETUP | PHASE_RUNNING, request_has_default_route},
    {"gateway", AT_LEAST(8), PHASE_SETUP | PHASE_RUNNING, request_gateway},
    {"socket-orders", 1, PHASE_SETUP | PHASE_RUNNING, request_socket_orders},
    {"start", AT_LEAST(2), PHASE_SETUP | PHASE_RUNNING, request_start},
    {"kill-helper", 2, PHASE_SETUP | PHASE_RUNNING, request_kill_helper},

    {"signal", 2, PHASE_RUNNING, request_signal},
    {"program", AT_LEAST(4), PHASE_RUNNING, request_program},
    {"program-signal", 3, PHASE_RUNNING, request_program_signal},
};

enum outcome fail(int error, const char *what, const char *object) {
  reply_error(error, what, object);
  return FAILED;
}

static int has_words(int argc) { return argc < 0 ? request.count >= -argc : request.count == argc; }

enum outcome dispatch(enum phase phase) {
  for (size_t i = 0; request.count > 0 && i < sizeof requests / sizeof *requests; i++) {
    if (strcmp(request.words[0], requests[i].name) != 0) continue;
    if (!has_words(requests[i].argc)) return fail(EINVAL, "wrong number of arguments for", request.words[0]);
    if ((requests[i].phase & (int)phase) == 0) return fail(EINVAL, "request not possible now:", request.words[0]);
    enum outcome outcome = requests[i].fn();
    if (outcome == DONE) send_words("ok", NULL);
    return outcome;
  }
  return fail(EINVAL, "unknown request:", request.count > 0 ? request.words[0] : "");
}
