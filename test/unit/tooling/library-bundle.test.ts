import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { repoRoot } from '../../support/index.js';

const LIBRARY = join(repoRoot, 'dist', 'library');

function filesOf(pattern: RegExp): string[] {
  return readdirSync(LIBRARY, { recursive: true, encoding: 'utf8' }).filter((name) => pattern.test(name));
}

/** What the files import that is neither a file nor a module of Node. */
function packagesIn(files: readonly string[]): string[] {
  return files.flatMap((file) =>
    [...readFileSync(join(LIBRARY, file), 'utf8').matchAll(/(?<!\.)\b(?:from|import)\s*\(?\s*["']([^"']+)["']/g)]
      .map(([, name = '']) => name)
      .filter((name) => !name.startsWith('.') && !isBuiltin(name))
      .map((name) => `${file}: ${name}`),
  );
}

describe('the bundle of the library', () => {
  it('needs no package', () => {
    const files = filesOf(/\.js$/);
    for (const entry of ['index.js', 'client.js', 'protocol.js']) assert.ok(files.includes(entry), entry);
    assert.deepEqual(packagesIn(files), []);
    const { dependencies } = JSON.parse(readFileSync(join(repoRoot, 'package.json'), 'utf8'));
    assert.equal(dependencies, undefined);
  });

  it('has lines that Node can show with an error', () => {
    for (const file of filesOf(/\.js$/)) {
      const lines = readFileSync(join(LIBRARY, file), 'utf8').split('\n');
      assert.ok(Math.max(...lines.map((line) => line.length)) < 1000, file);
    }
  });

  it('has declarations that need none either', () => {
    const files = filesOf(/\.d\.ts$/);
    assert.ok(files.length > 50, `${files.length} files`);
    assert.deepEqual(packagesIn(files), []);
  });

  it('is beside the licenses of the packages that it contains', () => {
    const text = readFileSync(join(repoRoot, 'dist', 'THIRD-PARTY-LICENSES'), 'utf8');
    for (const name of ['commander', 'execa', 'msgpackr', 'ws', 'zod'])
      assert.match(text, new RegExp(`^${name} \\d`, 'm'));
    assert.doesNotMatch(text, /^(mocha|typescript|esbuild) \d/m);
  });
});
