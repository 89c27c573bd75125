#include "monitor/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "system/unix_listener.h"

enum { DATA = 0, END = 1, SIZE = 2 };

static void hang_up(struct input *input) {
  events_close(&input->client);
  /* What is waiting for the container stays. */
  input->head_length = input->size_length = 0;
  input->left = 0;
}

static void end(struct input *input) {
  if (input->terminal < 0) events_close(&input->pipe);
}

static void resize(struct input *input) {
  const unsigned char *size = input->size;
  struct winsize window = {.ws_col = (unsigned short)(size[0] << 8 | size[1]),
                           .ws_row = (unsigned short)(size[2] << 8 | size[3])};
  if (input->terminal >= 0 && window.ws_col > 0 && window.ws_row > 0) ioctl(input->terminal, TIOCSWINSZ, &window);
}

/* Returns whether nothing is left for the container. */
static int give(struct input *input) {
  while (input->from < input->to) {
    int fd = input->terminal >= 0 ? input->terminal : input->pipe.fd;
    ssize_t n = fd < 0 ? -1 : write(fd, input->pending + input->from, input->to - input->from);
    if (n < 0 && fd >= 0 && errno == EINTR) continue;
    if (n < 0 && fd >= 0 && errno == EAGAIN) return 0;
    if (n < 0) {
      /* Nobody reads it any more. */
      end(input);
      input->from = input->to;
      break;
    }
    input->from += (size_t)n;
  }
  input->from = input->to = 0;
  return 1;
}

/* Reads what a frame still lacks, at most `size` bytes. Returns -1 if there is nothing for now. */
static ssize_t take(struct input *input, void *into, size_t size) {
  ssize_t n = read(input->client.fd, into, size);
  if (n > 0) return n;
  if (n == 0 || (errno != EAGAIN && errno != EINTR)) hang_up(input);
  return -1;
}

/* One step in reading a frame, when nothing waits. Returns -1 if there is nothing for now. */
static int step(struct input *input) {
  ssize_t n;
  if (input->head_length < sizeof input->head) {
    n = take(input, input->head + input->head_length, sizeof input->head - input->head_length);
    if (n < 0) return -1;
    input->head_length += (size_t)n;
    if (input->head_length < sizeof input->head) return 0;
    const unsigned char *head = input->head;
    input->left = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
  } else {
    size_t size = input->left < sizeof input->pending ? input->left : sizeof input->pending;
    n = take(input, input->pending, size);
    if (n < 0) return -1;
    input->left -= (uint32_t)n;
    if (input->head[0] == DATA) input->to = (size_t)n;
    if (input->head[0] == SIZE) {
      size_t room = sizeof input->size - input->size_length;
      size_t copied = (size_t)n < room ? (size_t)n : room;
      memcpy(input->size + input->size_length, input->pending, copied);
      input->size_length += copied;
    }
  }
  if (input->left > 0) return 0;
  if (input->head[0] == SIZE && input->size_length == sizeof input->size) resize(input);
  input->head_length = input->size_length = 0;
  /* An end has no data that could still be waiting. */
  if (input->head[0] == END) end(input);
  return 0;
}

void input_pump(void *context) {
  struct input *input = context;
  while (give(input) && input->client.fd >= 0) {
    if (step(input) < 0) return;
  }
}

static void on_client(struct watch *watch, uint32_t events) {
  (void)events;
  input_pump((char *)watch - offsetof(struct input, client));
}

static void on_pipe(struct watch *watch, uint32_t events) {
  struct input *input = (struct input *)((char *)watch - offsetof(struct input, pipe));
  input_pump(input);
  if (events & EPOLLERR && input->from == input->to) end(input);
}

static void on_listener(struct watch *watch, uint32_t events) {
  (void)events;
  struct input *input = (struct input *)((char *)watch - offsetof(struct input, listener));
  int fd;
  while ((fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    hang_up(input);
    input->client = (struct watch){fd, on_client};
    if (events_add(&input->client, EPOLLIN) != 0) hang_up(input);
  }
}

int input_open(struct input *input, const char *path, int open) {
  memset(input, 0, sizeof *input);
  input->terminal = input->pipe_end = -1;
  input->client.fd = input->pipe.fd = -1;
  input->listener = (struct watch){unix_listen(path, SOCK_NONBLOCK, 4), on_listener};
  if (input->listener.fd < 0 || events_add(&input->listener, EPOLLIN) != 0) return -1;
  if (!open) return 0;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  fcntl(ends[1], F_SETFL, fcntl(ends[1], F_GETFL) | O_NONBLOCK);
  input->pipe_end = ends[0];
  input->pipe = (struct watch){ends[1], on_pipe};
  return events_add(&input->pipe, EPOLLOUT);
}

void input_given(struct input *input) {
  if (input->pipe_end >= 0) close(input->pipe_end);
  input->pipe_end = -1;
}
