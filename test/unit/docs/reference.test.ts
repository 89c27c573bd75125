import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT } from '../../../protocol/errors/exit-codes.js';
import { docPages } from '../../support/doc-blocks.js';
import { repoRoot } from '../../support/index.js';
import { filesBelow } from '../tooling/run-programs.js';

const read = (...path: string[]) => readFileSync(join(repoRoot, ...path), 'utf8');
const sources = (...folders: string[]) =>
  folders.flatMap((folder) => filesBelow(join(repoRoot, folder), '.ts')).map((file) => readFileSync(file, 'utf8'));
const found = (texts: readonly string[], form: RegExp) => [
  ...new Set(texts.flatMap((text) => [...text.matchAll(form)].map(([, name = '']) => name))),
];

describe('the documentation, for look-up,', () => {
  const api = read('docs/guide/api.md');
  const all = docPages.map((page) => read(page)).join('\n');
  const missing = (names: readonly string[], text: string) => names.filter((name) => !text.includes(`\`${name}\``));

  it('has each type of event', () => {
    const types = found([read('protocol/api/types.ts')], /\btype: '([a-z-]+)'/g);
    assert(types.length > 8);
    assert.deepEqual(missing(types, api), []);
  });

  it('has each code of an error, and no others', () => {
    const texts = sources('bin', 'parent', 'child', 'protocol');
    const codes = found(texts, /\bcode(?:: string)? ?[=:] '([a-z]+(?:-[a-z]+)*)'/g).filter((code) => code !== 'custom');
    assert(codes.length > 25);
    assert.deepEqual(missing(codes, api), []);
    const section = /## Error codes\n([\s\S]*?)\n## /.exec(api)?.[1] ?? '';
    const named = found([section], /^\| ((?:`[a-z-]+`(?:, )?)+) \|/gm).flatMap((cell) => found([cell], /`([a-z-]+)`/g));
    assert.deepEqual(
      named.filter((code) => !texts.some((text) => text.includes(`'${code}'`))),
      [],
    );
  });

  it('has each path of the API', () => {
    const own = found(sources('parent/api'), /pathname === '(\/v1\/[^']+)'/g);
    const ofAgent = found(sources('child/container/api'), /'(?:GET|POST|DELETE) (\/[^']+)'/g)
      .filter((path) => !path.startsWith('/hooks/') && path !== '/overlays/*')
      .map((path) => `/v1${path.replace('*', 'NAME')}`);
    assert(own.length + ofAgent.length > 25);
    assert.deepEqual(
      [...own, ...ofAgent].filter((path) => !all.includes(path)),
      [],
    );
  });

  it('has each exit code', () => {
    const page = read('docs/processes.md');
    const section = /## Exit code\n([\s\S]*?)\n## /.exec(page)?.[1] ?? '';
    assert.deepEqual(
      Object.values(EXIT).filter((code) => !section.includes(String(code))),
      [],
    );
  });
});
