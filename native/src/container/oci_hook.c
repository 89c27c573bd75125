/*
 * oci_hook: sends the state of a container to the resident agent, and waits until the agent has handled it.
 *
 *   oci_hook createRuntime|poststop [SOCKET]
 *
 * OCI runtimes start it at these points, with the container's state as JSON on its standard input (runtime-spec,
 * config.md, "POSIX-platform Hooks"). It is an HTTP/1.0 client of one request, since starting Node would take longer than
 * the request. Exit code 0 on success, else 1 and one line on standard error.
 *
 * The agent's socket is the second argument, else agent.sock in $ROOTLESSKIT_STATE_DIR, else in
 * $XDG_RUNTIME_DIR/rootless-net. Runtimes give a hook only the environment that its configuration names.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_STATE = 1024 * 1024, MAX_ANSWER = 64 * 1024, TIMEOUT_SECONDS = 120 };

static const char *event;

static int fail(const char *what, const char *object, const char *advice) {
  fprintf(stderr, "rootless-net hook %s: %s %s; %s\n", event, what, object, advice);
  return 1;
}

static size_t read_all(int fd, char *buffer, size_t size) {
  size_t used = 0;
  while (used < size) {
    ssize_t n = read(fd, buffer + used, size - used);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    used += (size_t)n;
  }
  return used;
}

static int write_all(int fd, const char *data, size_t size) {
  while (size > 0) {
    ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return -1;
    data += n;
    size -= (size_t)n;
  }
  return 0;
}

/* The value of a variable; NULL if it is empty or not set. */
static const char *environment(const char *name) {
  const char *value = getenv(name);
  return value != NULL && value[0] != '\0' ? value : NULL;
}

static int find_socket(int argc, char **argv, char *path, size_t size) {
  const char *state = environment("ROOTLESSKIT_STATE_DIR"), *runtime = environment("XDG_RUNTIME_DIR");
  int length = -1;
  if (argc > 2) length = snprintf(path, size, "%s", argv[2]);
  else if (state != NULL) length = snprintf(path, size, "%s/agent.sock", state);
  else if (runtime != NULL) length = snprintf(path, size, "%s/rootless-net/agent.sock", runtime);
  return length > 0 && (size_t)length < size ? 0 : -1;
}

int main(int argc, char **argv) {
  static char state[MAX_STATE], answer[MAX_ANSWER + 1];
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  event = argc > 1 ? argv[1] : "";
  if (strcmp(event, "createRuntime") != 0 && strcmp(event, "poststop") != 0) {
    fprintf(stderr,
            "usage: oci_hook createRuntime|poststop [SOCKET]    (with the container's state on standard input)\n");
    return 2;
  }
  if (find_socket(argc, argv, address.sun_path, sizeof address.sun_path) != 0) {
    return fail("cannot find", "the agent's socket",
                "hint: name it in the hook's args, or set ROOTLESSKIT_STATE_DIR in its env");
  }
  size_t length = read_all(STDIN_FILENO, state, sizeof state);
  if (length == sizeof state)
    return fail("cannot send", "a state of more than 1 MiB", "hint: make the annotations smaller");

  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval timeout = {TIMEOUT_SECONDS, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
    char what[64];
    snprintf(what, sizeof what, "no agent answers (%s) at", strerror(errno));
    return fail(what, address.sun_path, "hint: start the stack: rootless-run serve");
  }
  char head[256];
  int head_length = snprintf(head, sizeof head,
                             "POST /v1/hooks/%s HTTP/1.0\r\nHost: agent\r\nContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\n\r\n",
                             event, length);
  if (write_all(fd, head, (size_t)head_length) != 0 || write_all(fd, state, length) != 0) {
    return fail("lost the agent at", address.sun_path, "hint: see the log of the stack");
  }
  size_t got = read_all(fd, answer, MAX_ANSWER);
  answer[got] = '\0';
  int status = 0;
  if (sscanf(answer, "HTTP/%*s %d", &status) != 1) {
    return fail("lost the agent at", address.sun_path, "hint: see the log of the stack");
  }
  if (status < 300) return 0;
  /* The agent's errors are one line of text, with a line end. */
  const char *body = strstr(answer, "\r\n\r\n");
  fprintf(stderr, "rootless-net hook %s: %s", event, body != NULL && body[4] != '\0' ? body + 4 : "failed\n");
  return 1;
}
