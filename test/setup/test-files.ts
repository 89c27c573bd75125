import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../support/paths.js';

/** The kinds of tests; each has a directory of that name, except `detached`. */
export const kinds = ['unit', 'integration', 'detached', 'compat', 'system'] as const;
export type Kind = (typeof kinds)[number];

/**
 * Files and folders of test/integration/containers that the kind `detached` runs once more, on stacks with --detach-netns:
 * where it matters which namespace something is done in. The others are about files, processes and output.
 */
const DETACHED: readonly string[] = [
  'network/cni/dhcp',
  'network/cni/macvlan',
  'network/cni/networks',
  'network/name-files',
  'network/shared-network',
  'ports/published',
  'ports/server-initiated',
  'ports/source-addresses',
];

/** The name of a compiled test file: its path below test/, without the ending. */
export function nameOf(file: string): string {
  return file.slice(file.lastIndexOf('/dist/test/') + '/dist/test/'.length).replace(/\.test\.js$/, '');
}

/** The compiled test files of a kind, sorted. */
export function testFiles(kind: Kind): string[] {
  const detached = kind === 'detached';
  const directory = join(repoRoot, 'dist', 'test', ...(detached ? ['integration', 'containers'] : [kind]));
  if (!existsSync(directory)) return [];
  const wanted = (name: string) =>
    !detached || DETACHED.some((listed) => name === `${listed}.test.js` || name.startsWith(`${listed}/`));
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js') && wanted(name))
    .map((name) => join(directory, name))
    .sort();
}

/**
 * Whether a test calls the native part: in its own process, since its file loads it or what makes engines for tests, or
 * through native_test.
 */
export function usesNativePart(file: string): boolean {
  return /native\/index\.js|\/(native-test|dns-serve|engine-side)\.js/.test(readFileSync(file, 'utf8'));
}
