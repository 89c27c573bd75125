import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, repoRoot, run, start, tempDir, waitFor } from '../../support/index.js';

const example = (name: string) => join(repoRoot, 'examples', name);

async function fetchText(url: string): Promise<string> {
  return (await fetch(url)).text();
}

describe('the examples of the library', () => {
  it('are all run here', () => {
    const files = readdirSync(join(repoRoot, 'examples')).filter((name) => name.endsWith('.mjs'));
    assert.deepEqual(files.sort(), ['dev-server.mjs', 'isolation.test.mjs', 'offline-test.mjs', 'tiny-paas.mjs']);
  });

  it('test with mocha, each test in a namespace of its own, on port 80', async () => {
    const mocha = join(repoRoot, 'node_modules/mocha/bin/mocha.js');
    const options = ['--no-config', '--no-package', '--timeout=20000'];
    const { code, stdout } = await run(process.execPath, [mocha, ...options, example('isolation.test.mjs')]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /4 passing/);
  });

  it('serve a project on an address of its own, and pass on how the server ends', async () => {
    const port = await freePort('127.0.0.2');
    const spec = `127.0.0.2:${port}:3000`;
    const serve = `require('node:http').createServer((q, r) => r.end('served')).listen(3000, '127.0.0.1')`;
    const args = [example('dev-server.mjs'), spec, process.execPath, '-e', serve];
    await using server = await start(process.execPath, args, { ready: { output: /http:\/\// } });
    assert.equal(await fetchText(`http://127.0.0.2:${port}`), 'served');
    assert.deepEqual(await server.stop('SIGTERM'), { code: 0, signal: null });
    assert.equal((await run(process.execPath, [...args.slice(0, 2), 'sh', '-c', 'exit 7'])).code, 7);
  });

  it('run npm test without a network', async () => {
    const directory = tempDir();
    const script = 'node -e "fetch(\\"http://192.0.2.1\\").catch((e) => console.log(e.cause.code))"';
    writeFileSync(join(directory, 'package.json'), JSON.stringify({ scripts: { test: script } }));
    const { code, stdout, stderr } = await run(process.execPath, [example('offline-test.mjs')], { cwd: directory });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /ENETUNREACH/);
    assert.equal((await run(process.execPath, [example('offline-test.mjs'), 'false'])).code, 1);
  });

  it('run ten apps with an address each, and restart one that ends', async () => {
    const port = await freePort('127.0.0.11');
    const names = Array.from({ length: 10 }, (_, index) => `app-${index + 1}`);
    const url = (index: number) => `http://127.0.0.${11 + index}:${port}`;
    await using paas = await start(process.execPath, [example('tiny-paas.mjs'), String(port)], {
      ready: { output: /app-/ },
    });
    await waitFor(() => names.every((name) => paas.output().includes(`${name} http`)), { what: 'all apps' });
    assert.ok(!paas.output().includes('Warning'), paas.output());
    const answers = await Promise.all(names.map((_, index) => fetchText(url(index))));
    assert.deepEqual(
      answers,
      names.map((name) => `${name}\n`),
    );
    await fetchText(`${url(2)}/crash`).catch(() => {});
    await waitFor(async () => (await fetchText(url(2))) === 'app-3\n', { what: 'the app to be restarted' });
    assert.match(paas.output(), /app-3 ended \(1\), restarting/);
    assert.deepEqual(await paas.stop('SIGTERM'), { code: 0, signal: null });
  });
});
