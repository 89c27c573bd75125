import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/index.js';
import { filesBelow } from '../tooling/run-programs.js';

/** How sources read a variable of the environment. */
const READS = [
  /\b(?:process\.)?env\.([A-Z][A-Z0-9_]+|npm_config_\w+)/g,
  /\b(?:fromEnvironment|getenv|environment)\(["']([A-Z][A-Z0-9_]+)["']\)/g,
  /\bconst \w+ = '(ROOTLESS_NET_[A-Z]+)'/g,
];
/** Not of ours: set for CNI plugins; constants in the code of packages. */
const OTHERS = /^(CNI_(?!PATH)\w+|MSGPACKR_\w+|WS_\w+)$/;

describe('the documentation of the environment', () => {
  it('names each variable that is read, and no others', () => {
    const folders = ['bin', 'child', 'native/src', 'parent', 'protocol', 'scripts'];
    const files = folders.flatMap((folder) =>
      ['.ts', '.c', '.cpp', '.mjs'].flatMap((end) => filesBelow(join(repoRoot, folder), end)),
    );
    const texts = files.map((file) => readFileSync(file, 'utf8'));
    const read = new Set(
      texts.flatMap((text) => READS.flatMap((form) => [...text.matchAll(form)].map(([, name]) => name))),
    );
    const page = readFileSync(join(repoRoot, 'docs/help/environment.md'), 'utf8');
    const ours = [...read].filter((name) => name !== undefined && !OTHERS.test(name)).sort();
    assert(ours.length > 15);
    assert.deepEqual(
      ours.filter((name) => !page.includes(`\`${name}\``)),
      [],
    );
    const cells = page.split('\n').flatMap((line) => /^\| ((?:`\w+`(?:, )?)+) \|/.exec(line)?.[1] ?? []);
    const named = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name));
    const unknown = named.filter((name) => !texts.some((text) => text.includes(name)));
    assert.deepEqual(unknown, []);
  });
});
