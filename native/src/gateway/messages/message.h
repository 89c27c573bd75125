/*
 * Batches of netlink messages (netlink(7)): they are sent with one system call, and answered before it returns, with errors
 * and with an acknowledgement of the last message.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { BATCH_BYTES = 8 * 1024, BATCH_MESSAGES = 32 };

struct batch {
  _Alignas(8) unsigned char bytes[BATCH_BYTES];
  size_t used;
  /* Where the last message begins. */
  size_t last;
  uint32_t count;
  /* What each message does, for errors. */
  const char *what[BATCH_MESSAGES];
  /* Whether something did not fit, and the batch must not be sent. */
  int overflowed;
};

/* A netlink socket of this network namespace; -1 with an errno. */
int open_netlink(int protocol);

void batch_clear(struct batch *batch);
/* Begins a message, and so ends the one before. The request's own header (such as struct ifinfomsg) follows with put(). */
void begin(struct batch *batch, uint16_t type, uint16_t flags, const char *what);
void put(struct batch *batch, const void *data, size_t size);
void put_attribute(struct batch *batch, uint16_t type, const void *data, size_t size);
void put_u32(struct batch *batch, uint16_t type, uint32_t value);
/* In network byte order, as nf_tables has numbers. */
void put_be32(struct batch *batch, uint16_t type, uint32_t value);
/* The name with the NUL at its end. */
void put_string(struct batch *batch, uint16_t type, const char *text);
/* Begins an attribute that has others inside; returns what end_nest() takes. */
size_t begin_nest(struct batch *batch, uint16_t type);
void end_nest(struct batch *batch, size_t nest);

/*
 * Sends the batch. Returns 0, or the errno of the first message that failed, and in *what what that one does: the very
 * pointer that begin() has got for it.
 */
int send_batch(struct batch *batch, int fd, const char **what);
