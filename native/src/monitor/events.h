/* One epoll(7) set for all events of the monitor. */
#pragma once

#include <stdint.h>

/* A descriptor, -1 for none, and its callback; the first member of the struct that it belongs to. */
struct watch {
  int fd;
  void (*ready)(struct watch *watch, uint32_t events);
};

/* Returns -1 with errno. */
int events_open(void);
/* Edge-triggered: `ready` is called once for each change. Returns -1 with errno. */
int events_add(struct watch *watch, uint32_t events);
/* Calls `ready` again if the descriptor is still ready, after those that became ready before. */
void events_rearm(struct watch *watch, uint32_t events);
/* Closes the descriptor. */
void events_close(struct watch *watch);
/* Waits up to `timeout` ms, -1 for ever, and calls back for one ready descriptor, in the order in which they became ready.
   Returns the number of calls. */
int events_wait(int timeout);
