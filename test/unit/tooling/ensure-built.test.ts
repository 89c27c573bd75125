import assert from 'node:assert/strict';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { repoRoot, run, tempDir } from '../../support/index.js';

/** A program that runs one of our scripts as if node were that version. */
function pretendVersion(script: string, version: string): string {
  const file = join(tempDir(), 'pretend.mjs');
  const url = pathToFileURL(join(repoRoot, 'scripts', script)).href;
  writeFileSync(
    file,
    `Object.defineProperty(process.versions, 'node', { value: '${version}' }); await import('${url}');\n`,
  );
  return file;
}

describe('ensure-built', () => {
  it('refuses a node that is too old with one line', async () => {
    const result = await run(process.execPath, [pretendVersion('ensure-built.mjs', '20.18.3')]);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /^rootless-net needs node 20\.19 or later, and this is 20\.18\.3; see \S+\n$/);
    assert.equal(result.stdout, '');
  });
});

describe('the build lock', () => {
  it('is held by one process at a time, and given back when its holder is killed', async () => {
    const directory = tempDir();
    const script = join(directory, 'holder.mjs');
    const url = pathToFileURL(join(repoRoot, 'scripts', 'build-state.mjs')).href;
    // Each holder notes that it is in, and fails if another one is; the first is killed while it is in.
    writeFileSync(
      script,
      `import { writeFileSync, rmSync } from 'node:fs';
       import { takeBuildLock } from '${url}';
       const release = await takeBuildLock('test ${directory}');
       if (process.argv[2] === 'die') process.kill(process.pid, 'SIGKILL');
       writeFileSync('${directory}/inside', '', { flag: 'wx' });
       await new Promise((resolve) => setTimeout(resolve, 50));
       rmSync('${directory}/inside');
       await release();`,
    );
    const killed = await run(process.execPath, [script, 'die']);
    assert.equal(killed.signal, 'SIGKILL');
    const results = await Promise.all([1, 2, 3].map(() => run(process.execPath, [script])));
    for (const { code, stderr } of results) assert.equal(code, 0, stderr);
    assert.equal(existsSync(join(directory, 'inside')), false);
    rmSync(script);
  });
});
