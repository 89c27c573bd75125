#include "monitor/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* MAX_TEXT keeps one entry well within the buffer. */
enum { MAX_TEXT = 16 * 1024, HEAD_SIZE = 64 };
/* How long to wait for a reader, while the container runs and afterwards, and the interval of checks, in ms. */
enum { READER_MS = 10 * 1000, LAST_READER_MS = 500, READER_STEP_MS = 2 };

static void path_of(const struct log_writer *log, int index, char *path, size_t size) {
  if (index == 0) snprintf(path, size, "%s", log->path);
  else snprintf(path, size, "%s.%d", log->path, index);
}

/* A writer that was killed may have left the last entry incomplete. */
static void end_torn_entry(struct log_writer *log) {
  char last = '\n';
  if (log->size == 0 || pread(log->fd, &last, 1, log->size - 1) != 1 || last == '\n') return;
  if (write(log->fd, "\n", 1) == 1) log->size++;
}

static void open_file(struct log_writer *log) {
  struct stat status;
  log->fd = open(log->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  log->size = 0;
  if (log->fd < 0) {
    log->error = errno;
    return;
  }
  if (fstat(log->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(log->fd);
    log->fd = -1;
    log->error = EINVAL;
    return;
  }
  log->size = status.st_size;
  end_torn_entry(log);
}

int log_open(struct log_writer *log, const char *path, off_t max_size, int max_files) {
  memset(log, 0, sizeof *log);
  if (strlen(path) >= sizeof log->path) return -1;
  memcpy(log->path, path, strlen(path) + 1);
  log->max_size = max_size;
  log->max_files = max_files;
  open_file(log);
  return 0;
}

/* Writes all or nothing. */
static int write_whole(struct log_writer *log, const char *data, size_t length) {
  size_t written = 0;
  while (written < length) {
    ssize_t n = write(log->fd, data + written, length - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      log->error = n < 0 ? errno : ENOSPC;
      if (written > 0 && ftruncate(log->fd, log->size) != 0) log->size += (off_t)written;
      return -1;
    }
    written += (size_t)n;
  }
  log->size += (off_t)length;
  return 0;
}

static size_t write_head(char *head, const char *stream, char tag) {
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  size_t length = strftime(head, HEAD_SIZE, "%Y-%m-%dT%H:%M:%S", &parts);
  return length + (size_t)snprintf(head + length, HEAD_SIZE - length, ".%09ldZ %s %c ", now.tv_nsec, stream, tag);
}

/* Writes an entry about dropped output; it may make the file slightly larger than its limit. */
static int write_dropped(struct log_writer *log) {
  char entry[256];
  size_t length = write_head(entry, "stderr", 'F');
  length +=
      (size_t)snprintf(entry + length, sizeof entry - length, "rootless-net: %llu bytes of output were dropped: %s\n",
                       log->dropped, strerror(log->error));
  if (write_whole(log, entry, length) != 0) return -1;
  log->dropped = 0;
  return 0;
}

static void flush(struct log_writer *log) {
  if (log->used == 0 && log->dropped == 0) return;
  if (log->fd < 0) open_file(log);
  if (log->fd < 0 || (log->dropped > 0 && write_dropped(log) != 0) || write_whole(log, log->buffer, log->used) != 0) {
    log->dropped += log->output;
  }
  log->used = log->output = 0;
}

/* Waits until the last file, which is about to be removed, has no reader. */
static void wait_for_reader(struct log_writer *log) {
  char path[PATH_MAX];
  path_of(log, log->max_files - 1, path, sizeof path);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return;
  for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited += READER_STEP_MS) {
    int urgent = log->is_urgent != NULL && log->is_urgent();
    log->reader_hangs |= waited >= (urgent ? LAST_READER_MS : READER_MS);
    if (log->reader_hangs) {
      close(fd);
      return;
    }
    nanosleep(&(struct timespec){.tv_nsec = READER_STEP_MS * 1000000L}, NULL);
  }
  log->reader_hangs = 0;
  close(fd);
}

static void rotate(struct log_writer *log) {
  char from[PATH_MAX], to[PATH_MAX];
  if (log->max_files > 1) wait_for_reader(log);
  for (int index = log->max_files - 1; index > 0; index--) {
    path_of(log, index - 1, from, sizeof from);
    path_of(log, index, to, sizeof to);
    if (rename(from, to) == 0 || errno == ENOENT) continue;
    log->error = errno;
    /* The limit is kept, and new output is worth more than old output. */
    if (index == 1 && log->fd >= 0 && ftruncate(log->fd, 0) == 0) {
      log->size = 0;
      return;
    }
  }
  /* Not truncated: a reader may still have its end to read. */
  if (log->max_files == 1) unlink(log->path);
  if (log->fd >= 0) close(log->fd);
  open_file(log);
}

static void add_entry(struct log_writer *log, const char *head, size_t head_length, const char *text, size_t length) {
  size_t entry = head_length + length + 1;
  if (log->used + entry > sizeof log->buffer) flush(log);
  off_t before = log->size + (off_t)log->used;
  if (before > 0 && before + (off_t)entry > log->max_size) {
    flush(log);
    rotate(log);
  }
  memcpy(log->buffer + log->used, head, head_length);
  memcpy(log->buffer + log->used + head_length, text, length);
  log->buffer[log->used + entry - 1] = '\n';
  log->used += entry;
}

void log_add(struct log_writer *log, const char *stream, const char *data, size_t length) {
  char head[HEAD_SIZE];
  size_t head_length = write_head(head, stream, 'F');
  /* "stdout F " */
  char *tag = head + head_length - 2;
  while (length > 0) {
    const char *end = memchr(data, '\n', length < MAX_TEXT ? length : MAX_TEXT);
    size_t text = end != NULL ? (size_t)(end - data) : length < MAX_TEXT ? length : MAX_TEXT;
    size_t taken = text + (end != NULL ? 1 : 0);
    *tag = end != NULL ? 'F' : 'P';
    add_entry(log, head, head_length, data, text);
    log->output += taken;
    data += taken;
    length -= taken;
  }
  flush(log);
}

void log_close(struct log_writer *log) {
  flush(log);
  if (log->fd >= 0) close(log->fd);
  log->fd = -1;
}
