// Statistics of figures: medians, ratios within rounds, order of candidates.
/** Middle value; the mean of the two middle ones if their number is even. NaN if there are none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  return (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Summary of several rounds of one candidate. */
export interface Summary {
  median: number;
  min: number;
  max: number;
}

export function summarize(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The ratio of two candidates in each round, so that disturbances of the machine affect both. Rounds in which one of them has
 * no value (undefined) are skipped.
 */
export function roundRatios(
  values: readonly (number | undefined)[],
  references: readonly (number | undefined)[],
): number[] {
  const ratios: number[] = [];
  for (const [round, value] of values.entries()) {
    const reference = references[round];
    if (value !== undefined && reference !== undefined && reference > 0) ratios.push(value / reference);
  }
  return ratios;
}

/** The order of the candidates in a round. It is reversed every other round, so that no candidate always follows another. */
export function roundOrder<T>(candidates: readonly T[], round: number): T[] {
  return round % 2 === 0 ? [...candidates] : [...candidates].reverse();
}

/** The difference of two candidates in each round; rounds in which one of them has no value are skipped. */
export function roundDifferences(
  values: readonly (number | undefined)[],
  references: readonly (number | undefined)[],
): number[] {
  const differences: number[] = [];
  for (const [round, value] of values.entries()) {
    const reference = references[round];
    if (value !== undefined && reference !== undefined) differences.push(value - reference);
  }
  return differences;
}
