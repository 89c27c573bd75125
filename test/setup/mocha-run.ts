// One run of mocha, in a process of its own: node mocha-run.js KIND [--grep PATTERN]. Writes its counts to the
// file that the environment names. It is not made to exit: what keeps the process alive after the last test is
// a leak (a socket, a child, a timer), and is reported as a failure.
import { parseArgs } from 'node:util';
import Mocha from 'mocha';
import { type Counts, countsVariable, writeCounts } from './counts.js';
import { type Kind, testFiles } from './test-files.js';

/** Milliseconds after the last test until the process must have ended by itself. */
const leakGrace = 10_000;

const { positionals, values } = parseArgs({ allowPositionals: true, options: { grep: { type: 'string' } } });
const ci = Boolean(process.env.CI);
const mocha = new Mocha({
  reporter: 'spec',
  timeout: 60_000,
  // In CI a forgotten .only and a skipped test are failures.
  forbidOnly: ci,
  forbidPending: ci,
  ...(values.grep !== undefined && { grep: values.grep }),
});
for (const file of testFiles(positionals[0] as Kind)) mocha.addFile(file);
await mocha.loadFilesAsync();

const counts: Counts = { passed: 0, failed: 0, pending: 0 };
const save = () => {
  const file = process.env[countsVariable];
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
    process.stderr.write(`The tests ended, but left open: ${resources}\n`);
    counts.failed++;
    save();
    process.exit(1);
  }, leakGrace).unref();
});
