// The test command: node dist/test/run.js [unit|integration|detached|compat|system …] [--grep PATTERN] [--jobs COUNT] [--durations].
// Without a kind, all of them. Unit tests run as the caller; the others need programs and rights, see
// setup/machine/prepare.ts. Started by root, they run as an unprivileged user in namespaces made for the run, several
// runs side by side.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { describeSeconds } from './setup/durations.js';
import { describeJob, type Job, planJobs, runAtOnce } from './setup/jobs.js';
import { PrepareError, prepare } from './setup/machine/prepare.js';
import { BlockPrinter } from './setup/results/blocks.js';
import {
  addCounts,
  type Counts,
  countFailure,
  describeCounts,
  noCounts,
  recordCounts,
} from './setup/results/counts.js';
import { afterSecondTry } from './setup/results/second-try.js';
import { type RunOptions, runAsCaller, runIsolated } from './setup/run-kind.js';
import { type Kind, kinds, testFiles } from './setup/test-files.js';

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function isKind(word: string): word is Kind {
  return kinds.some((kind) => kind === word);
}

interface Request {
  kinds: Kind[];
  grep: string | undefined;
  /** Runs at once, at most. */
  jobs: number;
  /** Print how long files took. */
  durations: boolean;
}

function parse(): Request {
  try {
    const options = { grep: { type: 'string' }, jobs: { type: 'string' }, durations: { type: 'boolean' } } as const;
    const { positionals, values } = parseArgs({ allowPositionals: true, options });
    const unknown = positionals.find((word) => !isKind(word));
    if (unknown !== undefined) fail(`unknown kind of tests "${unknown}": expected ${kinds.join(', ')}`);
    // Tests wait for processes and timers about half of the time.
    const jobs = values.jobs === undefined ? availableParallelism() + 1 : Number(values.jobs);
    if (!Number.isInteger(jobs) || jobs < 1) fail(`invalid --jobs "${values.jobs}": expected a number from 1 on`);
    const { grep, durations = false } = values;
    return { kinds: positionals.length > 0 ? positionals.filter(isKind) : [...kinds], grep, jobs, durations };
  } catch (error) {
    fail(
      `${(error as Error).message}\nUsage: node dist/test/run.js [${kinds.join('|')} …] [--grep PATTERN] [--jobs N]`,
    );
  }
}

const isRoot = process.getuid?.() === 0;

/** Runs a job; what keeps it from being run at all is a failure of it. */
async function runJob(job: Job, options: RunOptions): Promise<Counts> {
  // System tests make a machine of their own, as root.
  const run = job.kind === 'unit' || job.kind === 'system' || !isRoot ? runAsCaller : runIsolated;
  try {
    if (job.kind !== 'unit') prepareOnce();
    return await run(job, options);
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error;
    const counts = noCounts();
    countFailure(counts, `${error.message}\nThe tests were not run: ${describeJob(job)}.`);
    return counts;
  }
}

let prepared = false;

function prepareOnce(): void {
  if (!prepared) prepare();
  prepared = true;
}

/** Set by a signal: no further job is started. */
let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true;
  });
}

/** Runs jobs side by side, with the output of each in blocks; resolves with what came out, by kind. */
async function runSideBySide(jobs: readonly Job[], limit: number): Promise<Map<Kind, Counts>> {
  const printer = new BlockPrinter((text) => process.stdout.write(text));
  const results = new Map<Kind, Counts>();
  const tasks = jobs.map((job) => async () => {
    const blocks = printer.source(describeJob(job));
    const counts = await runJob(job, { options: [], output: (text) => blocks.write(text) });
    blocks.end();
    results.set(job.kind, addCounts(results.get(job.kind) ?? noCounts(), counts));
  });
  await runAtOnce(tasks, limit, () => interrupted);
  return results;
}

/** Runs one kind after the other, with the output as it comes. */
async function runInTurn(asked: readonly Kind[], options: readonly string[]): Promise<Map<Kind, Counts>> {
  const results = new Map<Kind, Counts>();
  for (const kind of asked) {
    if (!interrupted) results.set(kind, await runJob({ kind }, { options }));
  }
  return results;
}

const request = parse();
const present = request.kinds.filter((kind) => testFiles(kind).length > 0);
for (const kind of request.kinds) if (!present.includes(kind)) process.stderr.write(`There are no ${kind} tests.\n`);

const jobs = planJobs(present, request.jobs);
// As an ordinary user all runs share the machine's ports, which unit tests do not mind. Of a few tests the output is wanted
// as it comes.
const separate = isRoot || present.every((kind) => kind === 'unit');
const sideBySide = separate && request.grep === undefined && jobs.length > 1 && request.jobs > 1;
const results = sideBySide
  ? await runSideBySide(jobs, request.jobs)
  : await runInTurn(present, request.grep === undefined ? [] : ['--grep', request.grep]);

let total = noCounts();
const flaky: string[] = [];
const { CI: inCI } = process.env;
for (const [kind, counts] of results) {
  const again = (options: string[]) => runJob({ kind }, { options });
  const tried = inCI && !interrupted ? await afterSecondTry(counts, again) : { counts, flaky: [] };
  total = addCounts(total, tried.counts);
  flaky.push(...tried.flaky);
}
if (interrupted) countFailure(total, 'The run was interrupted by a signal.');

if (request.durations) process.stdout.write(`\nSeconds of files:\n${describeSeconds(total.seconds)}`);
recordCounts(total, flaky);
if (total.failures.length > 0) process.stdout.write('\nFailed:\n');
for (const { report } of total.failures) process.stdout.write(`${report}\n`);
for (const line of flaky) process.stdout.write(`${line}\n`);
if (total.pending > 0) process.stdout.write(`${total.pending} skipped\n`);
if (total.passed + total.failed === 0) process.stderr.write('No tests were run.\n');
process.stdout.write(`${describeCounts(total)}\n`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
