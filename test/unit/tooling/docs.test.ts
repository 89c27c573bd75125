import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { rootlessRun } from '../../bin/dialect.js';
import { makeCommand } from '../../bin/run-options.js';
import { capabilityTexts, driverCapabilities } from '../integration/port-suite/capabilities.js';
import { repoRoot } from '../support/index.js';

const pages = ['README.md', ...readdirSync(join(repoRoot, 'docs')).map((name) => join('docs', name))];
const read = (page: string) => readFileSync(join(repoRoot, page), 'utf8');

describe('the documentation', () => {
  it('shows what the port drivers can do as it is tested', () => {
    const names = Object.keys(driverCapabilities) as (keyof typeof driverCapabilities)[];
    const keys = Object.keys(capabilityTexts) as (keyof typeof capabilityTexts)[];
    const rows = keys.map((key) => {
      const cells = names.map((name) => (driverCapabilities[name][key] ? 'yes' : 'no'));
      return `| ${capabilityTexts[key]} | ${cells.join(' | ')} |`;
    });
    const table = [`| | ${names.join(' | ')} |`, `|---|${names.map(() => '---|').join('')}`, ...rows].join('\n');
    const shown = /<!-- capabilities -->\n([\s\S]*?)\n?<!-- end -->/.exec(read('docs/ports.md'))?.[1];
    assert.equal(shown, table, `docs/ports.md is to have:\n${table}`);
  });

  it('leads to pages that there are', () => {
    for (const page of pages) {
      for (const [, target = ''] of read(page).matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        assert(existsSync(join(repoRoot, dirname(page), target)), `${page} leads to ${target}`);
      }
    }
  });

  it('speaks of each option but those that are taken for the sake of scripts', () => {
    const text = pages.map(read).join('\n');
    const missing = makeCommand(rootlessRun)
      .options.filter(
        ({ negate, description }) => !negate && !/taken for the sake|print (this help|the version)/.test(description),
      )
      .filter(({ long, short }) => ![long, short].some((name) => name && text.includes(name)))
      .map(({ long }) => long);
    assert.deepEqual(missing, []);
  });
});
