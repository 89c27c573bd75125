#include "process/sub_ids.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILE = 64 * 1024, MAX_RANGES = 64, MAX_NUMBER = 20 };

struct words {
  char *text;
  size_t size, used;
};

/* Returns 0 where there is no room. */
static int add_word(struct words *words, const char *word) {
  size_t length = strlen(word) + 1;
  if (length > words->size - words->used) return 0;
  memcpy(words->text + words->used, word, length);
  words->used += length;
  return 1;
}

static int add_number(struct words *words, unsigned long number) {
  char text[MAX_NUMBER + 1];
  snprintf(text, sizeof text, "%lu", number);
  return add_word(words, text);
}

/* The file's text; NULL where it cannot be read, is too large, or has a NUL. To be freed. */
static char *text_of(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  char *text = malloc(MAX_FILE + 1);
  size_t used = 0;
  ssize_t n = 0;
  while (text != NULL && used < MAX_FILE && ((n = read(fd, text + used, MAX_FILE - used)) > 0 || errno == EINTR)) {
    if (n > 0) used += (size_t)n;
    if (n == 0) break;
  }
  close(fd);
  if (text == NULL) return NULL;
  text[used] = '\0';
  if (n == 0 && used < MAX_FILE && strlen(text) == used) return text;
  free(text);
  return NULL;
}

static int has_other_source(void) {
  char *text = text_of("/etc/nsswitch.conf");
  int found = 0;
  for (char *line = text, *end; line != NULL && !found; line = end != NULL ? end + 1 : NULL) {
    end = strchr(line, '\n');
    line += strspn(line, " \t");
    found = strncmp(line, "subid:", strlen("subid:")) == 0;
  }
  free(text);
  return found;
}

/* A number that consists of digits up to `end`; 0 for anything else. */
static unsigned long number_before(const char *text, const char *end) {
  size_t length = (size_t)(end - text);
  if (length == 0 || length > 10 || strspn(text, "0123456789") != length) return 0;
  return strtoul(text, NULL, 10);
}

/* Adds the ranges of the file that belong to the user. Returns 0 where there are none, or a line is not plain. */
static int add_ranges(struct words *words, const char *file, const struct passwd *user) {
  char by_uid[MAX_NUMBER + 2], by_name[LINE_MAX];
  char *text = text_of(file);
  unsigned long starts[MAX_RANGES], inside = 1;
  int count = 0, plain = text != NULL;
  snprintf(by_uid, sizeof by_uid, "%lu:", (unsigned long)user->pw_uid);
  if (snprintf(by_name, sizeof by_name, "%s:", user->pw_name) >= (int)sizeof by_name) plain = 0;
  for (char *line = text, *end; plain && *line != '\0'; line = *end != '\0' ? end + 1 : end) {
    end = line + strcspn(line, "\n");
    char *start = strncmp(line, by_name, strlen(by_name)) == 0 ? line + strlen(by_name)
                  : strncmp(line, by_uid, strlen(by_uid)) == 0 ? line + strlen(by_uid)
                                                               : NULL;
    if (start == NULL) {
      /* Blanks around the line do not count, but are not for us. */
      plain = *line != ' ' && *line != '\t';
      continue;
    }
    char *colon = memchr(start, ':', (size_t)(end - start));
    unsigned long first = colon != NULL ? number_before(start, colon) : 0;
    unsigned long length = colon != NULL ? number_before(colon + 1, end) : 0;
    plain = first > 0 && length > 0 && count < MAX_RANGES;
    for (int i = 0; plain && i < count; i++) plain = starts[i] != first;
    plain = plain && add_number(words, inside) && add_number(words, first) && add_number(words, length);
    if (plain) starts[count++] = first;
    inside += length;
  }
  free(text);
  return plain && count > 0;
}

/* Adds the path of the program: the first in PATH, or in the system's directories. Returns 0 where there is none. */
static int add_program(struct words *words, const char *name) {
  char list[4 * PATH_MAX];
  const char *path = getenv("PATH");
  int length = snprintf(list, sizeof list, "%s:/usr/local/sbin:/usr/sbin:/sbin", path != NULL ? path : "");
  if (length >= (int)sizeof list) return 0;
  for (char *rest = list, *directory; (directory = strsep(&rest, ":")) != NULL;) {
    char file[sizeof list + NAME_MAX];
    struct stat st;
    if (*directory == '\0') continue;
    if (*directory != '/') return 0;
    snprintf(file, sizeof file, "%s/%s", directory, name);
    if (access(file, X_OK) == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode)) return add_word(words, file);
  }
  return 0;
}

static int add_command_line(struct words *words, const char *program, const char *file, const struct passwd *user) {
  int is_uid = strcmp(program, "newuidmap") == 0;
  return add_program(words, program) && add_number(words, (unsigned long)getpid()) && add_word(words, "0") &&
         add_number(words, is_uid ? user->pw_uid : user->pw_gid) && add_word(words, "1") &&
         add_ranges(words, file, user);
}

size_t plan_id_map(char *text, size_t size) {
  struct words words = {text, size, 0};
  text[0] = '\0';
  const struct passwd *user = geteuid() == 0 || getuid() != geteuid() ? NULL : getpwuid(geteuid());
  if (user == NULL || has_other_source()) return 0;
  if (!add_command_line(&words, "newuidmap", "/etc/subuid", user) || !add_word(&words, "") ||
      !add_command_line(&words, "newgidmap", "/etc/subgid", user)) {
    return 0;
  }
  return words.used;
}
