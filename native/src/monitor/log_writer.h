/*
 * The log of one container: its output, with the time and the stream of each piece.
 *
 * Format. One entry per line, as in Kubernetes' container runtime interface (k8s-file in podman):
 *
 *   2026-11-29T09:14:06.123456789Z stdout F all of a line
 *   2026-11-29T09:14:07.000000000Z stderr P the beginning of a line, or a piece of one
 *
 * F (full) marks the end of a line, P (partial) a piece without one; the pieces of a line and its end belong together, per
 * stream. Bytes are not changed: joined, the entries of a stream are exactly its output.
 *
 * Rotation. An entry that would make FILE larger than the limit goes to a new FILE; the old one becomes FILE.1, that one
 * FILE.2, and the last is removed. An entry is never divided between two files. If a follower of the log still reads that
 * last file, which it shows by a shared lock on it (flock(2)), the writer waits for it, and so does the container; but only
 * some seconds, and not again before the reader has made progress, so that a hanging reader delays nothing. With a single
 * file the writer does not wait: a reader that has read all of it waits for the next one.
 *
 * Errors. The container does not notice them: output that cannot be written (disk full) is dropped and counted, and the
 * count is written as an entry of its own as soon as there is room. An entry that was cut by an error is removed; one that
 * was cut by the writer's death gets a line end when the next writer opens the file.
 */
#pragma once

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

struct log_writer {
  char path[PATH_MAX - 16];
  /* -1 while it cannot be opened. */
  int fd;
  off_t size, max_size;
  int max_files;
  /* Entries to be written, and the number of bytes of output in them. */
  char buffer[64 * 1024];
  size_t used, output;
  /* Whether waiting for a reader timed out, and it has made no progress since. */
  int reader_hangs;
  /* Whether the container has ended, which is to be reported soon; may be NULL. */
  int (*is_urgent)(void);
  /* Bytes of output that were lost, and the errno of the last of them. */
  unsigned long long dropped;
  int error;
};

/* Opens or creates the file. Returns -1 if the path is too long; other errors are handled with each write. */
int log_open(struct log_writer *log, const char *path, off_t max_size, int max_files);

/* Adds data from a stream ("stdout" or "stderr"), with the current time. */
void log_add(struct log_writer *log, const char *stream, const char *data, size_t length);

/* Writes the number of dropped bytes, if any, and closes the file. */
void log_close(struct log_writer *log);
