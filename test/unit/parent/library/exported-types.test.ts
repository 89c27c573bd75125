import assert from 'node:assert/strict';
import { type Declaration, declarationsOf, exportsOf, references } from './declarations.js';

const ENTRIES = ['parent/index.js', 'parent/client/index.js', 'protocol/index.js'];

describe('the types of the library', () => {
  for (const entry of ENTRIES) {
    it(`are all exported by ${entry}, as far as what it exports refers to them`, () => {
      const exported = exportsOf(declarationsOf(entry));
      const key = ({ file, name }: Declaration) => `${file}:${name}`;
      const known = new Set([...exported.values()].map(key));
      assert.ok(known.size > 10, `only ${known.size} exports were found`);
      const missing = [...exported.values()].flatMap((declaration) =>
        references(declaration)
          .filter((other) => !known.has(key(other)))
          .map((other) => `${other.name} (of ${declaration.name})`),
      );
      assert.deepEqual([...new Set(missing)], []);
    });
  }
});
