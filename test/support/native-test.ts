/** Calls the program of the tests in test/programs/native/. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { repoRoot } from './paths.js';
import { run } from './run.js';

export const nativeTestProgram = join(repoRoot, 'native/build/Release/native_test');

/** Added to its environment: where the tests run with sanitizers, leaks of the program are findings, too. */
export function nativeTestEnvironment(): Record<string, string> {
  const { ASAN_OPTIONS } = process.env;
  return ASAN_OPTIONS ? { ASAN_OPTIONS: `${ASAN_OPTIONS}:detect_leaks=1` } : {};
}

/** Runs `native_test PART ARGUMENT…` with these lines as its input, and parses each line of its output, which is JSON. */
export async function nativeTest<T>(
  words: readonly string[],
  lines: readonly string[] = [],
  timeout = 120_000,
): Promise<T[]> {
  const { code, stdout, stderr } = await run(nativeTestProgram, words, {
    env: nativeTestEnvironment(),
    input: lines.map((line) => `${line}\n`).join(''),
    timeout,
  });
  assert.equal(code, 0, stderr);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
