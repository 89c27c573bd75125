import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repoRoot, tempDir } from '../../support/index.js';

interface Staleness {
  isInstalled(root: string): boolean;
  isNativeBuilt(root: string): boolean;
  nativeOutputs: readonly string[];
  nativeFingerprint(root: string): string;
  nativeStamp(root: string): string;
  typescriptFingerprint(root: string): string;
  removeOrphans(root: string): void;
}

describe('the check for stale builds', () => {
  let staleness: Staleness;
  let root: string;

  before(async () => {
    staleness = (await import(pathToFileURL(join(repoRoot, 'scripts', 'build-state.mjs')).href)) as Staleness;
  });

  beforeEach(() => {
    root = tempDir();
    write('tsconfig.json', '{ "include": ["parent", "test", "native/*.ts"] }');
    for (const name of ['package.json', 'parent/a.ts', 'native/binding.gyp', 'native/src/a.cc']) write(name);
  });

  function write(name: string, text = ''): void {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }

  describe('of the TypeScript', () => {
    let before: string;

    beforeEach(() => {
      before = staleness.typescriptFingerprint(root);
    });

    it('sees no change if nothing changed, nor in files that are not compiled', () => {
      write('parent/notes.md', 'x');
      assert.equal(staleness.typescriptFingerprint(root), before);
    });

    it('sees a source that was touched', () => {
      utimesSync(join(root, 'parent/a.ts'), 1, 1);
      assert.notEqual(staleness.typescriptFingerprint(root), before);
    });

    it('sees a source that a pattern includes', () => {
      write('native/index.ts');
      assert.notEqual(staleness.typescriptFingerprint(root), before);
    });

    it('sees a source that was added, and one that was removed', () => {
      write('test/unit/b.test.ts');
      assert.notEqual(staleness.typescriptFingerprint(root), before);
      rmSync(join(root, 'test/unit/b.test.ts'));
      assert.equal(staleness.typescriptFingerprint(root), before);
      rmSync(join(root, 'parent/a.ts'));
      assert.notEqual(staleness.typescriptFingerprint(root), before);
    });

    it('removes what was compiled from a source that is gone, and nothing else', () => {
      const compiled = ['dist/parent/a.js', 'dist/parent/a.d.ts', 'dist/parent/a.js.map'];
      const orphans = ['dist/parent/gone.js', 'dist/parent/gone.d.ts', 'dist/parent/gone.js.map'];
      for (const name of [...compiled, ...orphans]) write(name);
      staleness.removeOrphans(root);
      assert.deepEqual(
        [...compiled, ...orphans].filter((name) => existsSync(join(root, name))),
        compiled,
      );
    });
  });

  describe('of the native part', () => {
    beforeEach(() => {
      for (const name of staleness.nativeOutputs) write(`native/build/Release/${name}`);
      writeFileSync(staleness.nativeStamp(root), staleness.nativeFingerprint(root));
    });

    it('sees a build that is complete', () => {
      assert.equal(staleness.isNativeBuilt(root), true);
    });

    it('sees that an output is missing', () => {
      rmSync(join(root, 'native/build/Release/launcher'));
      assert.equal(staleness.isNativeBuilt(root), false);
    });

    it('sees a changed header and a changed gyp file', () => {
      write('native/src/a.h');
      assert.equal(staleness.isNativeBuilt(root), false);
      rmSync(join(root, 'native/src/a.h'));
      assert.equal(staleness.isNativeBuilt(root), true);
      write('native/binding.gyp', '{}');
      assert.equal(staleness.isNativeBuilt(root), false);
    });
  });

  describe('of the packages', () => {
    const packages = {
      'node_modules/typescript': { version: '7.0.2', integrity: 'a' },
      'node_modules/mocha': { version: '12.0.3', integrity: 'b' },
    };
    const elsewhere = { 'node_modules/for-another-machine': { version: '1.0.0', optional: true } };

    beforeEach(() => {
      write('package-lock.json', JSON.stringify({ packages: { '': {}, ...packages, ...elsewhere } }));
      write('node_modules/typescript/package.json');
      write('node_modules/mocha/package.json');
    });

    it('sees that nothing is installed', () => {
      assert.equal(staleness.isInstalled(root), false);
    });

    it('is content without an optional package', () => {
      write('node_modules/.package-lock.json', JSON.stringify({ packages }));
      assert.equal(staleness.isInstalled(root), true);
    });

    it('sees that a version differs', () => {
      const old = { ...packages, 'node_modules/mocha': { version: '11.0.0', integrity: 'c' } };
      write('node_modules/.package-lock.json', JSON.stringify({ packages: old }));
      assert.equal(staleness.isInstalled(root), false);
    });

    it('sees that a package is missing', () => {
      const { 'node_modules/typescript': typescript } = packages;
      write('node_modules/.package-lock.json', JSON.stringify({ packages: { 'node_modules/typescript': typescript } }));
      assert.equal(staleness.isInstalled(root), false);
    });
  });
});
