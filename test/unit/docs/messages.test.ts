import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/index.js';
import { filesBelow } from '../tooling/run-programs.js';

/** What stands for the user's values in messages, on the page and in the sources. */
const PLACEHOLDER = /[A-Z]{2,}(?:-[A-Z]+)*|\$\{[^}]*\}|\d+|["']/;
/** A shorter part between two placeholders is no evidence. */
const LEAST = 6;

const read = (file: string) => readFileSync(file, 'utf8');
const sources = ['bin', 'child', 'native/src', 'parent', 'protocol']
  .flatMap((folder) => ['.ts', '.c', '.cpp', '.h'].flatMap((end) => filesBelow(join(repoRoot, folder), end)))
  .map(read)
  .concat(read(join(repoRoot, 'native/index.ts')))
  // Long strings are joined from several.
  .map((text) => text.replaceAll(/['"`]\s*\+\s*['"`]/g, '').replaceAll('\\n', ''));

describe('the documentation of messages', () => {
  const page = read(join(repoRoot, 'docs/help/troubleshooting.md'));

  it('quotes them as the programs print them', () => {
    const tables = page
      .split(/\n(?=\| message)/)
      .slice(1)
      .map((text) => text.split('\n\n')[0] ?? '');
    const rows = tables.flatMap((table) => table.split('\n').slice(2));
    const quoted = rows.flatMap((row) =>
      [...(row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => text),
    );
    assert(quoted.length > 50);
    const wrong = quoted.filter((message) =>
      message
        .split(PLACEHOLDER)
        .map((part) => part.trim())
        .some((part) => part.length >= LEAST && !sources.some((text) => text.includes(part))),
    );
    assert.deepEqual(wrong, []);
  });
});
