import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout, or the copy of it that the tests run in. This file is dist/test/support/paths.js there. */
export const repoRoot = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

/** The compiled program of that name; run it with `process.execPath`. */
export function binPath(name: 'rootless-run' | 'rootlesskit' | 'rootlessctl' | 'rootless-net' | 'demo'): string {
  // What `npm install` makes commands of; the demonstration is none.
  return join(repoRoot, 'dist', 'bin', `${name}.${name === 'demo' ? 'js' : 'cjs'}`);
}
