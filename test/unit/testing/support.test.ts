import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  freePort,
  isAlive,
  processTree,
  repoRoot,
  run,
  start,
  tcpRequest,
  tempDir,
  waitFor,
} from '../../support/index.js';

describe('the helpers of the tests', () => {
  it('run() reports exit code, signal and both outputs', async () => {
    assert.deepEqual(await run('sh', ['-c', 'cat; echo no >&2; exit 3'], { input: 'yes' }), {
      code: 3,
      signal: null,
      stdout: 'yes',
      stderr: 'no\n',
    });
    assert.equal((await run('sh', ['-c', 'kill -TERM $$'])).signal, 'SIGTERM');
    await assert.rejects(run('/nowhere/program'), { code: 'ENOENT' });
    await assert.rejects(run('sh', ['-c', 'echo said; exec sleep 60'], { timeout: 200 }), /did not end.*\nsaid/);
  });

  it('start() waits until it is ready, and stops it', async () => {
    const port = await freePort('127.0.0.1');
    // Without a listener for errors the probe that looks whether it is ready, and hangs up, may end it.
    const script = `require('net').createServer((s) => s.on('error', () => {}).end('hello')).listen(${port}, '127.0.0.1')`;
    const server = await start(process.execPath, ['-e', script], { ready: { tcp: { host: '127.0.0.1', port } } });
    assert.equal((await tcpRequest('127.0.0.1', port)).toString(), 'hello');
    assert.equal(isAlive(server.pid), true);
    assert.deepEqual(await server.stop(), { code: null, signal: 'SIGTERM' });
    assert.equal(isAlive(server.pid), false);
  });

  it('start() fails, with its output, if the program ends first', async () => {
    await assert.rejects(
      start('sh', ['-c', 'echo broken; exit 4'], { ready: { check: () => false } }),
      /ended \(4\) before it was ready; its output:\nbroken/,
    );
  });

  it('leave nothing open if a test fails', async () => {
    const directory = join(repoRoot, 'dist', 'test');
    const pids = join(tempDir(), 'pids');
    const script = `
      import Mocha from 'mocha';
      import { rootHooks } from '${directory}/setup/root-hooks.js';
      import { start } from '${directory}/support/start.js';
      // What it leaves keeps its output open.
      const leaving = 'sleep 1000 & echo $! >> ${pids}; echo ready; wait';
      const mocha = new Mocha({ rootHooks });
      mocha.suite.addTest(new Mocha.Test('fails', async () => {
        await start('sh', ['-c', leaving], { ready: { output: /ready/ } });
        throw new Error('on purpose');
      }));
      mocha.suite.addTest(new Mocha.Test('fails to start', async () => {
        await start('/no/such', [], { ready: { check: () => true } });
      }));
      mocha.suite.addTest(new Mocha.Test('is not ready', async () => {
        await start('sh', ['-c', leaving], { ready: { check: () => false }, timeout: 500 });
      }));
      mocha.run(() => {});`;
    // Below the checkout, where mocha is found.
    const { code, stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
      cwd: repoRoot,
      timeout: 10_000,
    });
    assert.match(stdout, /3 failing/);
    assert.equal(code, 0);
    for (const pid of readFileSync(pids, 'utf8').trim().split('\n')) process.kill(Number(pid));
  });

  it('isAlive() treats a zombie as dead', async () => {
    // The shell turns into sleep, which never asks for its child.
    await using parent = await start('sh', ['-c', 'sleep 0.1 & echo $!; exec sleep 60'], {
      ready: { output: /^\d+\n/ },
    });
    const child = Number(parent.output());
    await waitFor(() => !isAlive(child), { what: 'the end of the child' });
    assert.doesNotThrow(() => process.kill(child, 0), 'it is still there, as a zombie');
  });

  it('processTree() knows the descendants', async () => {
    await using parent = await start('sh', ['-c', 'sleep 60 & echo $!; wait'], { ready: { output: /^\d+\n/ } });
    const child = Number(parent.output());
    await waitFor(() => processTree(parent.pid).some(({ comm }) => comm === 'sleep'));
    assert.deepEqual(
      processTree(parent.pid).map(({ pid }) => pid),
      [parent.pid, child],
    );
    process.kill(child);
  });

  it('tcpRequest() rejects on a refusal and on a reset', async () => {
    const port = await freePort('127.0.0.1');
    await assert.rejects(tcpRequest('127.0.0.1', port), { code: 'ECONNREFUSED' });
    const server = createServer((socket) => socket.resetAndDestroy()).listen(port, '127.0.0.1');
    try {
      await assert.rejects(tcpRequest('127.0.0.1', port, 'x'), { code: 'ECONNRESET' });
    } finally {
      server.close();
    }
  });
});
