/* Times of one run, and how they are spread. */
#include <stdio.h>
#include <stdlib.h>
#include "load.h"

void latency_record(struct latencies *all, uint64_t nanoseconds) {
  if (all->count == all->room) {
    all->room = all->room ? all->room * 2 : 1 << 16;
    all->nanoseconds = realloc(all->nanoseconds, all->room * sizeof *all->nanoseconds);
    if (!all->nanoseconds) die("realloc");
  }
  all->nanoseconds[all->count++] = nanoseconds < UINT32_MAX ? (uint32_t)nanoseconds : UINT32_MAX;
}

double latency_sum(const struct latencies *all) {
  double sum = 0;
  for (size_t i = 0; i < all->count; i++) sum += (double)all->nanoseconds[i];
  return sum / 1e9;
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double quantile(const struct latencies *sorted, double percent) {
  if (sorted->count == 0) return 0;
  return sorted->nanoseconds[(size_t)((double)(sorted->count - 1) * percent / 100)] / 1e3;
}

void latency_print(struct latencies *all) {
  static const double percents[] = {0, 1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100};
  if (all->count > 0) qsort(all->nanoseconds, all->count, sizeof *all->nanoseconds, compare);
  printf("\"p50_us\":%.1f,\"p99_us\":%.1f,\"quantiles_us\":{", quantile(all, 50), quantile(all, 99));
  for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
    printf("%s\"%g\":%.1f", i ? "," : "", percents[i], quantile(all, percents[i]));
  }
  putchar('}');
}
