/* Times of one run, and how they are spread. */
#include <stdio.h>
#include <stdlib.h>
#include "load.h"

/* In nanoseconds, at most four seconds each. */
static uint32_t *latencies;
static size_t count, room;

void latency_record(uint64_t nanoseconds) {
  if (count == room) {
    room = room ? room * 2 : 1 << 16;
    latencies = realloc(latencies, room * sizeof *latencies);
    if (!latencies) die("realloc");
  }
  latencies[count++] = nanoseconds < UINT32_MAX ? (uint32_t)nanoseconds : UINT32_MAX;
}

size_t latency_count(void) { return count; }

double latency_sum(void) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += (double)latencies[i];
  return sum / 1e9;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double quantile(double percent) {
  return count ? latencies[(size_t)((double)(count - 1) * percent / 100)] / 1e3 : 0;
}

void latency_print(void) {
  static const double percents[] = {0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100};
  qsort(latencies, count, sizeof *latencies, compare);
  printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"quantiles_us\":{", quantile(50), quantile(99));
  for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
    printf("%s\"%g\":%.1f", i ? "," : "", percents[i], quantile(percents[i]));
  }
  putchar('}');
}
