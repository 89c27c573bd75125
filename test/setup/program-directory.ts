// The one directory in PATH of the tests: links to the programs that requirements.ts lists, and to those that every
// Debian has. A program that tests run and nothing lists is then missing on every machine, and not on a fresh one alone.
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  debianPackages,
  debianPackagesOfOthers,
  findProgram,
  optionalPrograms,
  testPath,
} from './machine/requirements.js';

/** Makes the directory at that path; resolves with the PATH of the tests. */
export function makeProgramDirectory(path: string, node = process.execPath): string {
  mkdirSync(path, { mode: 0o755 });
  symlinkSync(node, join(path, 'node'));
  const base = essentialPrograms();
  const listed = [...Object.keys({ ...debianPackages, ...debianPackagesOfOthers }), ...optionalPrograms].filter(
    (name) => !name.includes('/'),
  );
  for (const name of new Set([...(base ?? []), ...listed])) {
    const program = findProgram(name);
    // What is missing is not for us to report: unit tests, for which nothing is installed, need none of them.
    if (program !== undefined && name !== 'node') symlinkSync(program, join(path, name));
  }
  return base === undefined ? `${path}:${testPath}:${process.env.PATH}` : path;
}

/** Names of the programs of Debian's essential packages, which every machine has; undefined where there is no dpkg(1). */
export function essentialPrograms(): string[] | undefined {
  const format = ['--show', `--showformat=\${Essential} \${Package}\n`];
  const packages = lines('dpkg-query', format)
    .filter((line) => line.startsWith('yes '))
    .map((line) => line.slice(4));
  if (packages.length === 0) return undefined;
  return lines('dpkg-query', ['--listfiles', ...packages])
    .filter((file) => /^(\/usr)?\/s?bin\/[^/]+$/.test(file))
    .map((file) => basename(file));
}

function lines(program: string, args: readonly string[]): string[] {
  return (spawnSync(program, args, { encoding: 'utf8' }).stdout ?? '').split('\n');
}
