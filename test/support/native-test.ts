/** Calls the program of the tests in test/programs/native/. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { repoRoot } from './paths.js';
import { run } from './run.js';

/** Runs `native_test PART ARGUMENT…` with these lines as its input, and parses each line of its output, which is JSON. */
export async function nativeTest<T>(
  words: readonly string[],
  lines: readonly string[] = [],
  timeout = 120_000,
): Promise<T[]> {
  const program = join(repoRoot, 'native/build/Release/native_test');
  const { code, stdout, stderr } = await run(program, words, {
    input: lines.map((line) => `${line}\n`).join(''),
    timeout,
  });
  assert.equal(code, 0, stderr);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
