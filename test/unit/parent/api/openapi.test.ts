import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openAPI, operations } from '../../../../parent/api/openapi/document.js';
import { repoRoot, run } from '../../../support/index.js';
import { filesBelow } from '../../tooling/run-programs.js';

describe('the description of the API', () => {
  it('is current in docs/openapi.yaml', async () => {
    const { code, stderr } = await run(process.execPath, [join(repoRoot, 'scripts/docs/openapi.mjs'), '--check']);
    assert.equal(code, 0, stderr);
  });

  it('has each request that is answered, and no others', () => {
    const sources = (folder: string) =>
      filesBelow(join(repoRoot, folder), '.ts').map((file) => readFileSync(file, 'utf8'));
    const found = (texts: readonly string[], form: RegExp) =>
      texts.flatMap((text) => [...text.matchAll(form)].map(([, name = '']) => name));
    const ofAgent = found(
      sources('child/container/api'),
      /'((?:GET|POST|PUT|DELETE) \/(?:containers|networks|gc|usage)[^']*)'/g,
    );
    const described = operations.map(({ method, path }) => `${method} ${path.replace(/\{\w+\}/, '*')}`);
    assert.equal(new Set(described).size, described.length);
    assert.deepEqual(
      ofAgent.filter((name) => !described.includes(name)),
      [],
    );
    const agents = described.filter((name) => /^\w+ \/(containers|networks|gc|usage)/.test(name));
    assert.deepEqual(
      agents.filter((name) => !ofAgent.includes(name)),
      [],
    );
    const own = found(sources('parent/api'), /pathname === '\/v1(\/[^']+)'/g);
    assert.ok(own.length > 5);
    assert.deepEqual(
      own.filter((path) => !operations.some((operation) => operation.path === path)),
      [],
    );
  });

  it('refers to what is there, under unique names', () => {
    const document = openAPI();
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path);
    assert.ok(refs.length > 50);
    for (const path of refs) {
      let at: unknown = document;
      for (const key of path.split('/')) at = (at as Record<string, unknown>)[key];
      assert.ok(at !== undefined, path);
    }
    const ids = [...JSON.stringify(document).matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id);
    assert.equal(ids.length, operations.length);
    assert.equal(new Set(ids).size, ids.length);
  });
});
