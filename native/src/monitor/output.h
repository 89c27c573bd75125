/*
 * A container's output: from its pipes, or its terminal, into its log.
 *
 * Order. Each pipe holds one write at a time: it is one page large and in packet mode (O_DIRECT, see pipe(2)), so the next
 * write to it waits until the monitor has read this one. With epoll's queue, which is in the order of arrival, standard
 * output and standard error are logged in the order in which they were written. That costs a writer some microseconds. The
 * only other delay is a reader of the log that is too slow, see log_writer.h.
 *
 * Until the container is created its runtime writes into the pipes; that is kept separately, for the agent.
 */
#pragma once

#include <stddef.h>

#include "monitor/events.h"
#include "monitor/log_writer.h"

struct output_stream {
  struct watch watch;
  struct output *output;
  const char *name;
};

struct output {
  struct output_stream out, err, terminal;
  /* The runtime's ends; -1 once they are passed on. */
  int out_end, err_end;
  struct log_writer *log;
  /* The runtime's output; the last part if it is long. */
  char runtime_text[16 * 1024];
  size_t runtime_length;
  int logging;
  /* Called when the terminal accepts input again. */
  void (*on_writable)(void *context);
  void *context;
};

/* Makes the pipes. Returns -1 with errno. */
int output_open(struct output *output, struct log_writer *log);
/* Closes the monitor's copies of the runtime's ends, once the runtime has them. */
void output_given(struct output *output);
/* Reads what the runtime wrote until now; all later output is the container's. */
void output_begin(struct output *output);
/* Reads a container's terminal from now on, which belongs to the output then. Returns -1 with errno. */
int output_terminal(struct output *output, int fd);
/* Reads the rest when the container has ended. */
void output_finish(struct output *output);
