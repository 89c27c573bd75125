/*
 * A container's input: from the agent to its pipe or its terminal.
 *
 * The agent connects to a UNIX socket of the monitor at any time; a later connection replaces an earlier one, so an agent
 * that takes over need not wait for the end of its predecessor's. It sends frames: a byte for the type, four for the length
 * of the rest, the most significant first:
 *
 *   0  data
 *   1  end of standard input (not of a terminal)
 *   2  size of the terminal: columns and rows, two bytes each
 *
 * Reads no more than the container accepts. Data after the end of its standard input is discarded.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "monitor/events.h"

struct input {
  struct watch listener, client, pipe;
  /* The runtime's end; -1 if there is no pipe, or once it is passed on. */
  int pipe_end;
  /* -1 if there is none; not closed here. */
  int terminal;
  unsigned char head[5], size[4];
  size_t head_length, size_length;
  /* Bytes of the frame that are still to come. */
  uint32_t left;
  /* Data for the container. */
  char pending[16 * 1024];
  size_t from, to;
};

/* Listens at that path; with `open`, makes a pipe. Returns -1 with errno. */
int input_open(struct input *input, const char *path, int open);
/* Closes the monitor's copy of the runtime's end, once the runtime has it. */
void input_given(struct input *input);
/* Called when the container is ready for more; the context is the input. */
void input_pump(void *context);
