import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';

/** A test that failed, or something else that makes a run fail, such as a process that was left behind. */
export interface Failure {
  /** What is shown of it: title and error of a test. */
  report: string;
  /** The full title of the test or hook that failed; undefined where none can be run again. */
  title?: string | undefined;
  /** The test file that it is in, by its name below test/. */
  file?: string | undefined;
  /** What a failed test of the same run may have left behind: a process, a file, an open handle. */
  mayFollow?: boolean;
}

/** What came out of one run of mocha. Leaks count as failures. */
export interface Counts {
  passed: number;
  failed: number;
  /** Skipped; with CI set, mocha counts them as failed. */
  pending: number;
  failures: Failure[];
  /** How long the tests of each compiled file took, hooks included, in seconds. */
  seconds: Record<string, number>;
  /** The test or hook that runs, as long as the run has not ended. */
  running?: string;
}

export const noCounts = (): Counts => ({ passed: 0, failed: 0, pending: 0, failures: [], seconds: {} });

/** Names, in the environment, the file that a run of mocha writes its counts to. */
export const countsVariable = 'ROOTLESS_NET_TEST_COUNTS';

export function writeCounts(file: string, counts: Counts): void {
  writeFileSync(file, JSON.stringify(counts));
}

/**
 * The counts in the first of these files that is there. A run that has not ended, since something has killed it, or has
 * not begun, has one failure more, with the test that it was in.
 */
export function readCounts(...files: readonly string[]): Counts {
  const { running = '', ...counts } = files.map(parseCounts).find((found) => found !== undefined) ?? {
    ...noCounts(),
    running: 'its beginning',
  };
  if (running) countFailure(counts, `The run ended before its tests did, in: ${running}`);
  return counts;
}

function parseCounts(file: string): Counts | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Counts;
  } catch {
    return undefined;
  }
}

/** Counts a failure that is not a test's, and prints it. */
export function countFailure(counts: Counts, report: string): void {
  process.stderr.write(`${report}\n`);
  counts.failed++;
  counts.failures.push({ report, mayFollow: counts.failures.some(({ title }) => title !== undefined) });
}

/** A run that ended with another exit code than its counts call for has failed. */
export function withExitCode(counts: Counts, code: number): Counts {
  if (code !== 0 && counts.failed === 0) countFailure(counts, `The run ended with exit code ${code}.`);
  return counts;
}

export function addCounts(a: Counts, b: Counts): Counts {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    pending: a.pending + b.pending,
    failures: [...a.failures, ...b.failures],
    seconds: { ...a.seconds, ...b.seconds },
  };
}

export function describeCounts({ passed, failed }: Counts): string {
  return `${passed} passed, ${failed} failed`;
}

/** For CI, which adds up several runs and shows their failures at its end. */
export function recordCounts({ passed, failed, failures }: Counts, notes: readonly string[] = []): void {
  const record = process.env.ROOTLESS_NET_TEST_RECORD;
  if (!record) return;
  appendFileSync(record, `${passed} ${failed}\n`);
  appendFileSync(
    `${record}.failures`,
    [...failures.map(({ report }) => report), ...notes].map((text) => `${text}\n`).join(''),
  );
}
