import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot, run, tempDir } from '../../support/index.js';

describe('the reference of the library', () => {
  it('is made of its declarations, which refer to nothing that is missing', async function () {
    this.timeout(180_000);
    const directory = join(tempDir(), 'reference');
    const script = join(repoRoot, 'scripts', 'docs', 'reference.mjs');
    const { code, stdout, stderr } = await run(process.execPath, [script, directory], { timeout: 170_000 });
    assert.equal(code, 0, stdout + stderr);
    const page = readFileSync(join(directory, 'functions', 'parent.createNamespace.html'), 'utf8');
    assert.match(page, /NamespaceOptions/);
  });
});
