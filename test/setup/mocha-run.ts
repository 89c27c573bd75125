// One run of mocha, in a process of its own: node mocha-run.js KIND [--shard N/COUNT] [--grep PATTERN] [--file NAME …] [--native]. Writes
// its counts to the file that the environment names. It is not made to exit: what keeps the process alive after the last test is a leak (a
// socket, a child, a timer), and is reported as a failure. With --native it runs those tests alone that call the native
// part in their own process, and what is loaded before it (a sanitizer) is for that process alone.
import { parseArgs } from 'node:util';
import Mocha from 'mocha';
import { detachedVariable } from '../support/stacks/containers.js';
import { filesOf, parseShard } from './jobs.js';
import { countFailure, countsVariable, noCounts, writeCounts } from './results/counts.js';
import { rootHooks } from './root-hooks.js';
import { type Kind, nameOf, usesNativePart } from './test-files.js';

/** Milliseconds after the last test until the process must have ended by itself. */
const leakGrace = 10_000;

/** Characters of a failed test's report that are kept for the summary. */
const reportLength = 2000;

// The programs run with the node that the tests run with, whatever PATH has.
process.env.ROOTLESS_NET_NODE = process.execPath;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    grep: { type: 'string' },
    shard: { type: 'string' },
    file: { type: 'string', multiple: true },
    native: { type: 'boolean' },
  },
});
const kind = positionals[0] as Kind;
if (kind === 'detached') process.env[detachedVariable] = 'yes';
// Leaks are searched in this process, and not in what the tests start, which reads its options anew.
if (process.env.ASAN_OPTIONS) process.env.ASAN_OPTIONS += ':detect_leaks=0';
if (values.native) delete process.env.LD_PRELOAD;
const ci = Boolean(process.env.CI);
const mocha = new Mocha({
  reporter: 'spec',
  // For a machine on which other runs take their share.
  timeout: 120_000,
  // In CI a forgotten .only and a skipped test are failures.
  forbidOnly: ci,
  forbidPending: ci,
  rootHooks,
  ...(values.grep !== undefined && { grep: values.grep }),
});
const shard = values.shard === undefined ? {} : { shard: parseShard(values.shard) };
for (const file of filesOf({ kind, ...shard })) {
  if (values.file && !values.file.includes(nameOf(file))) continue;
  if (!values.native || usesNativePart(file)) mocha.addFile(file);
}
await mocha.loadFilesAsync();

const counts = noCounts();
const file = process.env[countsVariable];
const save = () => {
  if (file) writeCounts(file, counts);
  process.exitCode = counts.failed > 0 ? 1 : 0;
};
const runner = mocha.run((failures) => {
  counts.passed = runner.stats?.passes ?? 0;
  counts.pending = runner.stats?.pending ?? 0;
  counts.failed = failures;
  save();
  // Does not keep the process alive itself, so it fires only if something else does.
  setTimeout(() => {
    const resources = process.getActiveResourcesInfo().join(', ');
    countFailure(counts, `The tests ended, but left open: ${resources}`);
    save();
    process.exit(1);
  }, leakGrace).unref();
});
let started = 0;
runner.on('suite', ({ parent }: Mocha.Suite) => {
  if (parent?.root) started = performance.now();
});
runner.on('suite end', ({ parent, file }: Mocha.Suite) => {
  if (parent?.root && file) counts.seconds[file] = (counts.seconds[file] ?? 0) + (performance.now() - started) / 1000;
});
/** For a run that is killed, since it hangs. */
const note = (running: string) => {
  try {
    const { passes: passed = 0, pending = 0, failures: failed = 0 } = runner.stats ?? {};
    if (file) writeCounts(file, { ...counts, passed, pending, failed, running });
  } catch {
    // A test may leave this process without descriptors.
  }
};
runner.on('test', (test) => note(test.fullTitle()));
runner.on('hook', (hook) => note(`${hook.title} of ${hook.parent?.fullTitle()}`));
runner.on('fail', (test: Mocha.Runnable, error: Error) => {
  const report = `${test.fullTitle()}\n${(error.stack ?? String(error)).replace(/^/gm, '    ')}`;
  counts.failures.push({
    report: report.slice(0, reportLength),
    title: test.fullTitle(),
    file: nameOf(test.file ?? test.parent?.file ?? ''),
  });
});
