import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/index.js';

/** Set to write what the pages lack, instead of failing. */
const WRITE = 'ROOTLESS_NET_WRITE_DOCS';

/** Compares a part of a page, between `<!-- MARK -->` and `<!-- end -->`, with what the code has. */
export function compareGenerated(page: string, mark: string, expected: string): void {
  const path = join(repoRoot, page);
  const text = readFileSync(path, 'utf8');
  const part = new RegExp(`(<!-- ${mark} -->\n)([\\s\\S]*?)(\n?<!-- end -->)`);
  const shown = part.exec(text)?.[2];
  if (process.env[WRITE] && shown !== undefined && shown !== expected) {
    writeFileSync(
      path,
      text.replace(part, (_, begin: string, _old, end: string) => `${begin}${expected}${end}`),
    );
    return;
  }
  assert.equal(
    shown,
    expected,
    `${page} is out of date; to write it: ${WRITE}=1 npm run test:unit -- --grep 'the documentation'`,
  );
}
