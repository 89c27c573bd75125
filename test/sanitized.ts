// Runs the unit tests that call the native part with a build of it that AddressSanitizer, LeakSanitizer and
// UndefinedBehaviorSanitizer watch: node dist/test/sanitized.js [--grep PATTERN]. Every report of theirs is a failure.
// They run in a tree of their own, native/build-sanitize, where the addon is that build; see scripts/sanitized-tree.mjs.
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
  countFailure,
  countsVariable,
  describeCounts,
  readCounts,
  recordCounts,
  withExitCode,
} from './setup/results/counts.js';
import { repoRoot } from './support/paths.js';

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** The sanitizer's library, which has to be there before node allocates anything. */
function sanitizerLibrary(): string {
  const compiler = process.env.CXX || 'g++';
  const { stdout, error } = spawnSync(compiler, ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const path = stdout?.trim() ?? '';
  // Without it the compiler prints the name as it was given.
  if (error || !isAbsolute(path)) fail(`${compiler} has no libasan.so; Debian's gcc brings it`);
  return path;
}

const build = join(repoRoot, 'scripts', 'build-native.mjs');
if (spawnSync(process.execPath, [build, '--sanitize'], { stdio: 'inherit' }).status !== 0) process.exit(1);

const tree = join(repoRoot, 'native', 'build-sanitize');
for (const path of ['dist', 'package.json', 'test/programs']) {
  rmSync(join(tree, path), { recursive: true, force: true });
  cpSync(join(repoRoot, path), join(tree, path), { recursive: true });
}
if (!existsSync(join(tree, 'node_modules'))) symlinkSync(join(repoRoot, 'node_modules'), join(tree, 'node_modules'));

const directory = mkdtempSync(join(tmpdir(), 'rns-'));
try {
  const reports = `log_path=${join(directory, 'report')}`;
  const suppressions = join(directory, 'suppressions');
  // Node does not free what it has when it ends, nor what belongs to its objects: all that was allocated below a call of
  // its own is left out. What the engine's thread allocates is not.
  writeFileSync(suppressions, `leak:${process.execPath}\n`);
  const counts = join(directory, 'counts.json');
  const run = [join(tree, 'dist/test/setup/mocha-run.js'), 'unit', '--native', ...process.argv.slice(2)];
  const env = {
    ...process.env,
    TMPDIR: directory,
    LD_PRELOAD: sanitizerLibrary(),
    ASAN_OPTIONS: `detect_leaks=1:detect_stack_use_after_return=1:${reports}`,
    LSAN_OPTIONS: `suppressions=${suppressions}:print_suppressions=0`,
    UBSAN_OPTIONS: `print_stacktrace=1:${reports}`,
    [countsVariable]: counts,
  };
  const code = await runInForeground(process.execPath, run, { env });
  const result = withExitCode(readCounts(counts), code);
  for (const name of readdirSync(directory).filter((file) => file.startsWith('report'))) {
    countFailure(result, readFileSync(join(directory, name), 'utf8'));
  }
  recordCounts(result);
  process.stdout.write(`${describeCounts(result)}\n`);
  process.exitCode = result.failed > 0 || result.passed === 0 ? 1 : 0;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
