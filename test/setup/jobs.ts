// What a run of tests consists of: one run of mocha a kind, or several where a kind has many tests. Those run side by
// side, each in namespaces of its own.
import { estimatedSeconds } from './durations.js';
import { type Kind, testFiles } from './test-files.js';

/** The part `number` of `of` parts that the test files of a kind are divided into; from 1 on. */
export interface Shard {
  number: number;
  of: number;
}

/** One run of mocha. */
export interface Job {
  kind: Kind;
  shard?: Shard;
}

/** Seconds, on a quiet machine, of the largest job that is not divided where there are many. */
const largestJob = 90;

/** As in "integration 2/6". */
export function describeJob({ kind, shard }: Job): string {
  return shard ? `${kind} ${shard.number}/${shard.of}` : kind;
}

/** As on the command line of a run of mocha; the opposite of describeJob. */
export function parseShard(text: string): Shard {
  const [number = 0, of = 0] = text.split('/').map(Number);
  if (!(Number.isInteger(of) && Number.isInteger(number) && 1 <= number && number <= of)) {
    throw new Error(`invalid shard "${text}": expected NUMBER/COUNT, such as 2/6`);
  }
  return { number, of };
}

/** Files of one group are in one part: those of the engine measure how long it takes, and flood it. */
function groupOf(file: string): string {
  return file.includes('/unit/native/') ? 'unit/native' : file;
}

/**
 * Divides files into parts that take about the same time: the longest first, each to the part that has least so far. The
 * result depends on names and estimates alone, so that every process divides alike.
 */
export function divide(files: readonly string[], count: number, seconds = estimatedSeconds): string[][] {
  const parts = Array.from({ length: count }, () => ({ files: [] as string[], seconds: 0 }));
  const groups = new Map<string, string[]>();
  for (const file of files) groups.set(groupOf(file), [...(groups.get(groupOf(file)) ?? []), file]);
  const sorted = [...groups.values()]
    .map((group) => ({ group, total: group.reduce((sum, file) => sum + seconds(file), 0) }))
    .sort((a, b) => b.total - a.total || (String(a.group) < String(b.group) ? -1 : 1));
  for (const { group, total } of sorted) {
    const least = parts.reduce((a, b) => (b.seconds < a.seconds ? b : a));
    least.files.push(...group);
    least.seconds += total;
  }
  return parts.map((part) => part.files.sort());
}

/** The files of a job, sorted. */
export function filesOf({ kind, shard }: Job): string[] {
  const files = testFiles(kind);
  return shard ? (divide(files, shard.of)[shard.number - 1] ?? []) : files;
}

function totalSeconds(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + estimatedSeconds(file), 0);
}

/** The jobs that run all tests of those kinds, `limit` at once, the longest first; large kinds are divided. */
export function planJobs(kinds: readonly Kind[], limit: number): Job[] {
  const largest = Math.min(largestJob, totalSeconds(kinds.flatMap(testFiles)) / limit);
  const jobs = kinds.flatMap((kind): Job[] => {
    const files = testFiles(kind);
    // System tests boot one machine for all of their files.
    const of = kind === 'system' ? 1 : Math.min(Math.ceil(totalSeconds(files) / largest - 0.01), files.length);
    return of > 1 ? Array.from({ length: of }, (_, index) => ({ kind, shard: { number: index + 1, of } })) : [{ kind }];
  });
  const seconds = new Map(jobs.map((job) => [job, totalSeconds(filesOf(job))]));
  return jobs.sort((a, b) => (seconds.get(b) ?? 0) - (seconds.get(a) ?? 0));
}

/** Runs tasks in that order, at most `limit` at once, until all are done or `stopped` returns true. */
export async function runAtOnce<T>(
  tasks: readonly (() => Promise<T>)[],
  limit: number,
  stopped: () => boolean = () => false,
): Promise<T[]> {
  const results: T[] = [];
  const waiting = [...tasks.entries()];
  async function work(): Promise<void> {
    for (let next = waiting.shift(); next && !stopped(); next = waiting.shift()) {
      const [index, task] = next;
      results[index] = await task();
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, tasks.length) }, work));
  return results;
}
