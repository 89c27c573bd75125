/* Answers each byte with one byte; a connection that begins with SINK goes to a thread of its own, see streams.c. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "load.h"

enum { EVENTS = 256, BUFFER = 1 << 17 };

/* Reads all bytes, and sends their number at the end. */
static void *swallow(void *argument) {
  int fd = (int)(intptr_t)argument;
  char *buffer = malloc(BUFFER);
  if (!buffer) die("malloc");
  uint64_t total = 0;
  ssize_t got;
  while ((got = recv(fd, buffer, BUFFER, 0)) > 0) total += (uint64_t)got;
  if (got == 0) send(fd, &total, sizeof total, MSG_NOSIGNAL);
  close(fd);
  free(buffer);
  return NULL;
}

static void hand_over(int epoll, int fd) {
  pthread_t thread;
  epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
  if (pthread_create(&thread, NULL, swallow, (void *)(intptr_t)fd) != 0) die("pthread_create");
  pthread_detach(thread);
}

static void accept_all(int epoll, int listener) {
  int client;
  while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    set_no_delay(client);
    watch(epoll, EPOLL_CTL_ADD, client, EPOLLIN, (uint32_t)client);
  }
}

void serve(const struct target *target) {
  int one = 1;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  int listener = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (epoll < 0 || listener < 0) die("socket");
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (const struct sockaddr *)&target->address, target->length) != 0) die("bind");
  if (listen(listener, 4096) != 0) die("listen");
  watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, (uint32_t)listener);
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(epoll, events, EVENTS, -1);
    if (count < 0 && errno != EINTR) die("epoll_wait");
    for (int i = 0; i < count; i++) {
      int fd = (int)events[i].data.u32;
      if (fd == listener) {
        accept_all(epoll, listener);
        continue;
      }
      char byte;
      ssize_t got = recv(fd, &byte, 1, 0);
      if (got == 1 && byte == SINK) hand_over(epoll, fd);
      else if (got == 1) send(fd, &byte, 1, MSG_NOSIGNAL);
      else if (got == 0 || errno != EAGAIN) close(fd);
    }
  }
}
