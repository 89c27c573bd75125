#include "front/node_environment.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char OPTIONS[] = "ROOTLESS_NET_NODE_OPTIONS=";

/* Of Node, libuv, OpenSSL and ICU; those of the loader and the C library stay, they apply to every program. */
static const char *const prefixes[] = {"NODE_", "UV_", "OPENSSL_", "SSL_CERT_", "ICU_", "WATCH_REPORT_DEPENDENCIES="};

int is_node_variable(const char *entry) {
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
    if (strncmp(entry, prefixes[i], strlen(prefixes[i])) == 0) return 1;
  }
  return 0;
}

char **environment_for_node(char **env, char *extra) {
  size_t count = 0;
  while (env[count] != NULL) count++;
  char **result = calloc(count + 3, sizeof *result);
  if (result == NULL) return NULL;
  size_t used = 0;
  for (char **entry = env; *entry != NULL; entry++) {
    if (!is_node_variable(*entry)) result[used++] = *entry;
    /* Without the prefix it is NODE_OPTIONS=VALUE. */
    if (strncmp(*entry, OPTIONS, sizeof OPTIONS - 1) == 0) result[used++] = *entry + strlen("ROOTLESS_NET_");
  }
  if (extra != NULL) result[used++] = extra;
  return result;
}
