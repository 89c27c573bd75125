// Runs the unit tests that call the native part with builds of it that sanitizers watch:
// node dist/test/sanitized.js [address|thread] [--grep PATTERN], without a name one after the other. "address" is
// AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer, of which every report is a failure; "thread" is
// ThreadSanitizer, of which every report about the native part is. They run in trees of their own,
// native/build-sanitize/NAME, where the addon is that build; see scripts/sanitized-tree.mjs.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { runInForeground } from './setup/namespaces.js';
import {
  type Counts,
  countsVariable,
  describeCounts,
  readCounts,
  recordCounts,
  withExitCode,
} from './setup/results/counts.js';
import { afterSecondTry } from './setup/results/second-try.js';
import { reportsOfAddon } from './setup/results/thread-reports.js';
import { repoRoot } from './support/paths.js';
import { slowVariable } from './support/wait-for.js';

interface Sanitizer {
  library: string;
  /** @param reports where its reports go, as an option of every sanitizer */
  environment(directory: string, reports: string): NodeJS.ProcessEnv;
  /** Words in front of node's. */
  wrapper: readonly string[];
  /** What is a failure in a file of reports. */
  failures(log: string): string[];
}

function hasPersonality(): boolean {
  return spawnSync('setarch', ['-R', 'true']).status === 0;
}

const sanitizers: Readonly<Record<string, Sanitizer>> = {
  address: {
    library: 'libasan.so',
    environment(directory, reports) {
      const suppressions = join(directory, 'suppressions');
      // Node does not free what it has when it ends, nor what belongs to its objects: all that was allocated below a call of
      // its own is left out. What the engine's thread allocates is not.
      writeFileSync(suppressions, `leak:${process.execPath}\n`);
      return {
        ASAN_OPTIONS: `detect_leaks=1:detect_stack_use_after_return=1:${reports}`,
        LSAN_OPTIONS: `suppressions=${suppressions}:print_suppressions=0`,
        UBSAN_OPTIONS: `print_stacktrace=1:${reports}`,
      };
    },
    wrapper: [],
    failures: (log) => [log],
  },
  thread: {
    library: 'libtsan.so',
    // Node itself has findings, so these do not end it, nor with another exit code.
    environment: (_directory, reports) => ({
      TSAN_OPTIONS: `halt_on_error=0:exitcode=0:report_thread_leaks=0:history_size=4:${reports}`,
    }),
    // It knows fewer layouts of the address space than kernels choose at random.
    wrapper: hasPersonality() ? ['setarch', '-R'] : [],
    failures: reportsOfAddon,
  },
};

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** The sanitizer's library, which has to be there before node allocates anything. */
function libraryPath(name: string): string {
  const compiler = process.env.CXX || 'g++';
  const { stdout, error } = spawnSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' });
  const path = stdout?.trim() ?? '';
  // Without it the compiler prints the name as it was given.
  if (error || !isAbsolute(path)) fail(`${compiler} has no ${name}; Debian's gcc brings it`);
  return path;
}

/** The tree in which the tests run. */
function prepareTree(name: string): string {
  const build = join(repoRoot, 'scripts', 'build-native.mjs');
  if (spawnSync(process.execPath, [build, `--sanitize=${name}`], { stdio: 'inherit' }).status !== 0) process.exit(1);
  const tree = join(repoRoot, 'native', 'build-sanitize', name);
  for (const path of ['dist', 'package.json', 'test/programs']) {
    rmSync(join(tree, path), { recursive: true, force: true });
    cpSync(join(repoRoot, path), join(tree, path), { recursive: true });
  }
  if (!existsSync(join(tree, 'node_modules'))) symlinkSync(join(repoRoot, 'node_modules'), join(tree, 'node_modules'));
  return tree;
}

async function runTests(name: string, sanitizer: Sanitizer, args: readonly string[]): Promise<Counts> {
  const preload = libraryPath(sanitizer.library);
  const tree = prepareTree(name);
  const directory = mkdtempSync(join(tmpdir(), 'rns-'));
  try {
    const counts = join(directory, 'counts.json');
    const run = [process.execPath, join(tree, 'dist/test/setup/mocha-run.js'), 'unit', '--native', ...args];
    const [program = process.execPath, ...words] = [...sanitizer.wrapper, ...run];
    const env = {
      ...process.env,
      ...sanitizer.environment(directory, `log_path=${join(directory, 'report')}`),
      TMPDIR: directory,
      LD_PRELOAD: preload,
      [countsVariable]: counts,
      [slowVariable]: 'yes',
    };
    const code = await runInForeground(program, words, { env });
    const result = withExitCode(readCounts(counts), code);
    for (const file of readdirSync(directory).filter((entry) => entry.startsWith('report'))) {
      for (const report of sanitizer.failures(readFileSync(join(directory, file), 'utf8'))) {
        // Whatever test it is of: a failure, also where that test passes later.
        process.stderr.write(`${report}\n`);
        result.failed++;
        result.failures.push({ report });
      }
    }
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const { CI: inCI } = process.env;
const [word = ''] = process.argv.slice(2);
const chosen = Object.hasOwn(sanitizers, word) ? [word] : Object.keys(sanitizers);
const rest = process.argv.slice(Object.hasOwn(sanitizers, word) ? 3 : 2);
for (const name of chosen) {
  const sanitizer = sanitizers[name];
  if (!sanitizer) continue;
  const first = await runTests(name, sanitizer, rest);
  const again = (options: string[]) => runTests(name, sanitizer, options);
  const { counts: result, flaky } = inCI ? await afterSecondTry(first, again) : { counts: first, flaky: [] };
  recordCounts(result, flaky);
  for (const line of flaky) process.stdout.write(`${line}\n`);
  process.stdout.write(`${name}: ${describeCounts(result)}\n`);
  if (result.failed > 0 || result.passed === 0) process.exitCode = 1;
}
