import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../support/index.js';

// Where an optional package could not be built it is not there, nor are its types; `npm ci` compiles all the same.
describe('optional packages', () => {
  const manifest = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8')) as {
    optionalDependencies?: Record<string, string>;
  };

  it('are imported by nothing that is compiled', () => {
    const importing = ['bin', 'parent', 'child', 'protocol', 'native', 'test', 'bench']
      .flatMap((folder) =>
        readdirSync(join(repoRoot, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
      )
      .filter((file) => file.endsWith('.ts') && !/^native\/build/.test(file))
      .flatMap((file) => {
        const text = readFileSync(join(repoRoot, file), 'utf8');
        return Object.keys(manifest.optionalDependencies ?? {})
          .filter((name) => new RegExp(`(from|import\\()\\s*['"]${name}['"/]`).test(text))
          .map((name) => `${file}: ${name}`);
      });
    assert.deepEqual(importing, []);
  });
});
