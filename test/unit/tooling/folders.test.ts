import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { repoRoot } from '../../support/index.js';

/** Largest number of files in a folder, its README included. */
const MAX_FILES = 12;
/** A folder with more files than this has a head of its own, or is named in that of a folder above it. */
const MAX_UNDESCRIBED = 3;
/** Its folders are those of the code, described together in test/README.md. */
const MIRROR = 'test/unit/';

const TOP = ['bench', 'bin', 'child', 'docs', 'examples', 'native', 'parent', 'protocol', 'scripts', 'test'];
/** Output of builds, and of interpreters. */
const OUTPUT = /^(build|build-sanitize|__pycache__)$/;

/** Files of the sources by folder; empty folders are left out. */
function filesByFolder(): Map<string, string[]> {
  const folders = new Map<string, string[]>();
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(repoRoot, folder), { withFileTypes: true })) {
      if (entry.isDirectory()) {
        if (!OUTPUT.test(entry.name)) visit(`${folder}/${entry.name}`);
      } else folders.set(folder, [...(folders.get(folder) ?? []), entry.name]);
    }
  };
  for (const folder of TOP) visit(folder);
  return folders;
}

const read = (...path: string[]) => readFileSync(join(repoRoot, ...path), 'utf8');

/** The description of a folder: its README.md, or the comment that its index.ts begins with. */
function headOf(folder: string, files: readonly string[] = []): string | undefined {
  if (files.includes('README.md')) return read(folder, 'README.md');
  if (!files.includes('index.ts')) return undefined;
  return /^\s*(\/\*\*[\s\S]*?\*\/|(\/\/.*\n)+)/.exec(read(folder, 'index.ts'))?.[0];
}

/** Whether the head of a folder above names this one, as `name/` or in a cell of a table. */
function isNamedAbove(folder: string, folders: ReadonlyMap<string, string[]>): boolean {
  for (let above = dirname(folder); above !== '.'; above = dirname(above)) {
    const text = headOf(above, folders.get(above)) ?? '';
    const names = [folder.slice(above.length + 1), basename(folder)];
    if (names.some((name) => text.includes(`${name}/`) || text.includes(`| ${name} |`))) return true;
  }
  return false;
}

describe('the folders of the sources', () => {
  const folders = filesByFolder();

  it(`have at most ${MAX_FILES} files each`, () => {
    const large = [...folders].filter(([, files]) => files.length > MAX_FILES);
    assert.deepEqual(
      large.map(([folder, files]) => `${folder}: ${files.length} files`),
      [],
    );
  });

  it('are described in a README.md, an index.ts, or that of a folder above', () => {
    const silent = [...folders].filter(
      ([folder, files]) =>
        files.length > MAX_UNDESCRIBED &&
        !folder.startsWith(MIRROR) &&
        headOf(folder, files) === undefined &&
        !isNamedAbove(folder, folders),
    );
    assert.deepEqual(
      silent.map(([folder]) => folder),
      [],
    );
  });
});
