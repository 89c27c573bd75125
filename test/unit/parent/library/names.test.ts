import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../../support/index.js';
import { declarationsOf, exportsOf, summaryOf } from './declarations.js';

describe('the documentation', () => {
  it('lists all names that the library exports', () => {
    const rows = [...exportsOf(declarationsOf('parent/index.js'))]
      .sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1))
      .map(([name, declaration]) => {
        const { kind, summary } = summaryOf(declaration);
        return `| \`${name}\` | ${kind} | ${summary.replaceAll('|', '\\|')} |`;
      });
    const table = ['| name | | |', '|---|---|---|', ...rows].join('\n');
    const text = readFileSync(join(repoRoot, 'docs/guide/library.md'), 'utf8');
    const shown = /<!-- names -->\n([\s\S]*?)\n?<!-- end -->/.exec(text)?.[1];
    assert.equal(shown, table, `docs/guide/library.md is to have:\n${table}`);
  });
});
