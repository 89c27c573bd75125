/** Middle value; the mean of the two middle ones if their number is even. NaN if there are none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  return (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** What several rounds of one candidate come to. */
export interface Summary {
  median: number;
  min: number;
  max: number;
}

export function summarize(values: readonly number[]): Summary {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * The ratio of two candidates in each round: what the machine did meanwhile hits both. Rounds that one of them has
 * no value for (undefined) are left out.
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

/** The order of the candidates in a round: every other round it is reversed, so that none always follows another. */
export function roundOrder<T>(candidates: readonly T[], round: number): T[] {
  return round % 2 === 0 ? [...candidates] : [...candidates].reverse();
}

/** The difference of two candidates in each round; rounds that one of them has no value for are left out. */
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
