// The test command: node dist/test/run.js [unit|integration|compat|system …] [--grep PATTERN]. Without a kind, all of
// them. Unit tests run as the caller; the others need programs and rights, see setup/prepare.ts, and when root
// starts them they run as an unprivileged user in namespaces made for the run.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { addCounts, type Counts, describeCounts } from './setup/counts.js';
import { PrepareError, prepare } from './setup/prepare.js';
import { runAsCaller, runIsolated } from './setup/run-kind.js';
import { type Kind, kinds, testFiles } from './setup/test-files.js';

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function isKind(word: string): word is Kind {
  return kinds.some((kind) => kind === word);
}

function parse(): { asked: Kind[]; options: string[] } {
  try {
    const { positionals, values } = parseArgs({ allowPositionals: true, options: { grep: { type: 'string' } } });
    const unknown = positionals.find((word) => !isKind(word));
    if (unknown !== undefined) fail(`Unknown kind of tests: ${unknown}; there are ${kinds.join(', ')}`);
    const asked = positionals.length > 0 ? positionals.filter(isKind) : [...kinds];
    return { asked, options: values.grep === undefined ? [] : ['--grep', values.grep] };
  } catch (error) {
    fail(`${(error as Error).message}\nUsage: node dist/test/run.js [${kinds.join('|')} …] [--grep PATTERN]`);
  }
}

const { asked, options } = parse();
let total: Counts = { passed: 0, failed: 0, pending: 0 };
const isRoot = process.getuid?.() === 0;
let prepared = false;

for (const kind of asked) {
  if (testFiles(kind).length === 0) {
    process.stderr.write(`There are no ${kind} tests.\n`);
    continue;
  }
  try {
    if (kind !== 'unit' && !prepared) {
      prepare();
      prepared = true;
    }
    // System tests make a machine of their own, as root.
    const run = kind === 'unit' || kind === 'system' || !isRoot ? runAsCaller : runIsolated;
    total = addCounts(total, await run(kind, options));
  } catch (error) {
    if (!(error instanceof PrepareError)) throw error;
    process.stderr.write(`${error.message}\nThe ${kind} tests were not run.\n`);
    total.failed++;
  }
}

// For CI, which adds up several runs.
const record = process.env.ROOTLESS_NET_TEST_RECORD;
if (record) appendFileSync(record, `${total.passed} ${total.failed}\n`);
if (total.pending > 0) process.stdout.write(`${total.pending} skipped\n`);
if (total.passed + total.failed === 0) process.stderr.write('No tests were run.\n');
process.stdout.write(`${describeCounts(total)}\n`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
