#include "monitor/events.h"

#include <sys/epoll.h>
#include <unistd.h>

static int set = -1;

static int control(int operation, struct watch *watch, uint32_t events) {
  struct epoll_event event = {.events = events | EPOLLET, .data.ptr = watch};
  return epoll_ctl(set, operation, watch->fd, &event);
}

int events_open(void) {
  set = epoll_create1(EPOLL_CLOEXEC);
  return set < 0 ? -1 : 0;
}

int events_add(struct watch *watch, uint32_t events) { return control(EPOLL_CTL_ADD, watch, events); }

void events_rearm(struct watch *watch, uint32_t events) { control(EPOLL_CTL_MOD, watch, events); }

void events_close(struct watch *watch) {
  if (watch->fd < 0) return;
  epoll_ctl(set, EPOLL_CTL_DEL, watch->fd, NULL);
  close(watch->fd);
  watch->fd = -1;
}

int events_wait(int timeout) {
  /* One at a time: a callback may close others. The kernel keeps their order. */
  struct epoll_event event;
  int count = epoll_wait(set, &event, 1, timeout);
  if (count <= 0) return 0;
  struct watch *watch = event.data.ptr;
  watch->ready(watch, event.events);
  return 1;
}
