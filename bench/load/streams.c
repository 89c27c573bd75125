/* Streams of bytes, each in a thread of its own. The server counts, so what is still on its way does not. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "load.h"

enum { BLOCK = 1 << 17 };

struct stream {
  pthread_t thread;
  int fd;
  uint64_t end;
  uint64_t received;
};

static void *send_stream(void *argument) {
  struct stream *stream = argument;
  char kind = SINK, *block = calloc(1, BLOCK);
  if (!block) die("calloc");
  if (send(stream->fd, &kind, 1, MSG_NOSIGNAL) != 1) die("send");
  while (now_ns() < stream->end) {
    if (send(stream->fd, block, BLOCK, MSG_NOSIGNAL) < 0) die("send");
  }
  shutdown(stream->fd, SHUT_WR);
  if (recv(stream->fd, &stream->received, sizeof stream->received, MSG_WAITALL) != sizeof stream->received) {
    die("the server's count");
  }
  close(stream->fd);
  free(block);
  return NULL;
}

struct stream *begin_streams(const struct target *target, unsigned count, double seconds) {
  struct stream *streams = calloc(count, sizeof *streams);
  if (!streams) die("calloc");
  for (unsigned i = 0; i < count; i++) streams[i].fd = connect_to(target);
  uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
  for (unsigned i = 0; i < count; i++) {
    streams[i].end = end;
    if (pthread_create(&streams[i].thread, NULL, send_stream, &streams[i]) != 0) die("pthread_create");
  }
  return streams;
}

uint64_t finish_streams(struct stream *streams, unsigned count) {
  uint64_t bytes = 0;
  for (unsigned i = 0; i < count; i++) {
    pthread_join(streams[i].thread, NULL);
    bytes += streams[i].received;
  }
  free(streams);
  return bytes;
}

void send_streams(const struct target *target, unsigned count, double seconds) {
  struct stream *streams = begin_streams(target, count, seconds);
  uint64_t start = now_ns(), bytes = finish_streams(streams, count);
  double taken = (double)(now_ns() - start) / 1e9;
  printf("{\"streams\":%u,\"bytes\":%llu,\"seconds\":%.3f,\"gbits\":%.3f}\n", count, (unsigned long long)bytes, taken,
         (double)bytes * 8 / 1e9 / taken);
}
