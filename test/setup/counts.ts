import { readFileSync, writeFileSync } from 'node:fs';

/** What came out of one run of mocha. Leaks count as failures. */
export interface Counts {
  passed: number;
  failed: number;
  /** Skipped; with CI set, mocha counts them as failed. */
  pending: number;
}

/** Names, in the environment, the file that a run of mocha writes its counts to. */
export const countsVariable = 'ROOTLESS_NET_TEST_COUNTS';

export function writeCounts(file: string, counts: Counts): void {
  writeFileSync(file, JSON.stringify(counts));
}

/** The counts in that file; one failure if the run did not get as far as writing them. */
export function readCounts(file: string): Counts {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Counts;
  } catch {
    return { passed: 0, failed: 1, pending: 0 };
  }
}

export function addCounts(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, pending: a.pending + b.pending };
}

export function describeCounts({ passed, failed }: Counts): string {
  return `${passed} passed, ${failed} failed`;
}
