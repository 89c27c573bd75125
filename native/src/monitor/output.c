#include "monitor/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* The most that is read at once. Pipes hold less unless the container has made them larger. */
enum { CHUNK = 64 * 1024, FINISH_MS = 1000 };

static void keep(struct output *output, const char *data, size_t length) {
  size_t room = sizeof output->runtime_text;
  if (length > room) {
    data += length - room;
    length = room;
  }
  size_t kept = output->runtime_length < room - length ? output->runtime_length : room - length;
  memmove(output->runtime_text, output->runtime_text + output->runtime_length - kept, kept);
  memcpy(output->runtime_text + kept, data, length);
  output->runtime_length = kept + length;
}

static void on_stream(struct watch *watch, uint32_t events) {
  static char chunk[CHUNK];
  struct output_stream *stream = (struct output_stream *)watch;
  struct output *output = stream->output;
  int is_terminal = stream == &output->terminal;
  if (is_terminal && events & EPOLLOUT && output->on_writable != NULL) output->on_writable(output->context);
  ssize_t length = read(watch->fd, chunk, sizeof chunk);
  if (length > 0) {
    if (output->logging) log_add(output->log, stream->name, chunk, (size_t)length);
    else keep(output, chunk, (size_t)length);
    events_rearm(watch, is_terminal ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return;
  }
  /* A terminal that no process inside has open returns EIO until one opens it again. */
  if (is_terminal || (length < 0 && (errno == EAGAIN || errno == EINTR))) return;
  events_close(watch);
}

static int make_pipe(struct output_stream *stream, struct output *output, const char *name) {
  int ends[2];
  *stream = (struct output_stream){.watch = {-1, on_stream}, .output = output, .name = name};
  if (pipe2(ends, O_DIRECT | O_CLOEXEC) != 0) return -1;
  fcntl(ends[0], F_SETPIPE_SZ, getpagesize());
  fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) | O_NONBLOCK);
  stream->watch.fd = ends[0];
  if (events_add(&stream->watch, EPOLLIN) != 0) return -1;
  return ends[1];
}

int output_open(struct output *output, struct log_writer *log) {
  memset(output, 0, sizeof *output);
  output->log = log;
  output->terminal = (struct output_stream){.watch = {-1, on_stream}, .output = output, .name = "stdout"};
  output->out_end = make_pipe(&output->out, output, "stdout");
  if (output->out_end < 0) return -1;
  output->err_end = make_pipe(&output->err, output, "stderr");
  return output->err_end < 0 ? -1 : 0;
}

void output_given(struct output *output) {
  close(output->out_end);
  close(output->err_end);
  output->out_end = output->err_end = -1;
}

void output_begin(struct output *output) {
  while (events_wait(0) > 0) {
  }
  output->logging = 1;
}

int output_terminal(struct output *output, int fd) {
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  output->terminal.watch.fd = fd;
  return events_add(&output->terminal.watch, EPOLLIN | EPOLLOUT);
}

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

void output_finish(struct output *output) {
  /* Other processes may hold the streams, and write for ever, where the container has no pid namespace of its own. */
  long long deadline = now_ms() + FINISH_MS;
  while (events_wait(0) > 0 && now_ms() < deadline) {
  }
  events_close(&output->out.watch);
  events_close(&output->err.watch);
  events_close(&output->terminal.watch);
}
