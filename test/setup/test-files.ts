import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../support/paths.js';

/** The kinds of tests; each has a directory of that name. */
export const kinds = ['unit', 'integration', 'compat', 'system'] as const;
export type Kind = (typeof kinds)[number];

/** The compiled test files of a kind, sorted. */
export function testFiles(kind: Kind): string[] {
  const directory = join(repoRoot, 'dist', 'test', kind);
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(directory, name))
    .sort();
}
