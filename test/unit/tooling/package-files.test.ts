import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/index.js';

/** What npm packs. */
function packed(): string[] {
  const { status, stdout, stderr } = spawnSync(
    'npm',
    ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'],
    { cwd: repoRoot, encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  return files.map(({ path }) => path);
}

describe('the package', function () {
  this.timeout(20_000);

  it('has each module that its install script loads', () => {
    const all = packed();
    const { scripts } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));
    const found = new Set<string>((scripts.install as string).match(/scripts\/\S+\.mjs/g));
    assert.equal(found.size, 2);
    // A set that grows is visited to its end.
    for (const file of found) {
      assert(all.includes(file), `${file} is not in the package`);
      const text = readFileSync(join(repoRoot, file), 'utf8');
      for (const [, path = ''] of text.matchAll(/(?:\bfrom |\bimport\()'(\.[^']+)'/g))
        found.add(join(file, '..', path));
    }
    assert(found.has('dist/native/location.js'));
  });
});
