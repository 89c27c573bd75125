#include "process/shown_words.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

/* C libraries differ in how they declare it. */
typedef __typeof__(((struct prctl_mm_map *)NULL)->start_code) address;

/* The layout of our memory, as /proc/self/stat has it (proc(5)): all of it has to be set at once. Returns an errno. */
static int read_map(struct prctl_mm_map *map) {
  char text[4096];
  FILE *f = fopen("/proc/self/stat", "re");
  if (f == NULL) return errno;
  text[fread(text, 1, sizeof text - 1, f)] = '\0';
  fclose(f);
  const struct {
    int field;
    address *value;
  } wanted[] = {{26, &map->start_code}, {27, &map->end_code},  {28, &map->start_stack}, {45, &map->start_data},
                {46, &map->end_data},   {47, &map->start_brk}, {48, &map->arg_start},   {49, &map->arg_end},
                {50, &map->env_start},  {51, &map->env_end}};
  /* The second field is a name, which may hold anything. */
  int field = 2;
  const char *at = strrchr(text, ')');
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    for (; at != NULL && field < wanted[i].field; field++) at = strchr(at + 1, ' ');
    if (at == NULL) return EIO;
    *wanted[i].value = strtoull(at, NULL, 10);
  }
  map->brk = (uintptr_t)sbrk(0);
  map->exe_fd = (uint32_t)-1;
  return 0;
}

static int show(const char *words, size_t size, int environment) {
  struct prctl_mm_map map = {0};
  if (size == 0) return EINVAL;
  int error = read_map(&map);
  if (error != 0) return error;
  /* For as long as the process lives. */
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return errno;
  memcpy(memory, words, size);
  address *start = environment ? &map.env_start : &map.arg_start, *end = environment ? &map.env_end : &map.arg_end;
  *start = (uintptr_t)memory;
  *end = *start + size;
  if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0) return 0;
  error = errno;
  munmap(memory, size);
  return error;
}

int show_command_line(const char *words, size_t size) { return show(words, size, 0); }

int show_environment(const char *words, size_t size) { return show(words, size, 1); }
