import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, or the copy of it that the tests run in. This file is dist/test/support/paths.js there. */
export const repoRoot = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** The program of that name, as `npm install` makes a command of it. */
export function binPath(name: 'rootless-run' | 'rootlesskit' | 'rootlessctl' | 'rootless-net'): string {
  return join(repoRoot, 'dist', 'bin', name);
}

/**
 * The text of a Python program of test/programs/python, for `python3 -c`: many run where the checkout is not, such as in
 * containers.
 */
export function pythonProgram(name: string): string {
  return readFileSync(join(repoRoot, 'test', 'programs', 'python', `${name}.py`), 'utf8');
}
