/** Sockets of the pool, which nobody uses yet, are the first to be closed where there are no descriptors left. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { waitFor } from '../../../support/index.js';
import { greeted, greeting, type PoolAgent, PoolPair } from '../../../support/stacks/pool-agent.js';

/** Sets the soft limit of open files of this process, until the end of the block. */
function limitFiles(limit: number): Disposable {
  const usual = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const set = (value: number | string) => {
    const words = [`--pid=${process.pid}`, `--nofile=${value}:`];
    const { status, error } = spawnSync('prlimit', words, { stdio: 'ignore' });
    assert.equal(status, 0, `prlimit: ${error}`);
  };
  set(limit);
  return { [Symbol.dispose]: () => set(usual ?? '') };
}

/** Opens files until no number is free below the highest in use. */
function fillGaps(): { next: number } & Disposable {
  const highest = Math.max(...readdirSync('/proc/self/fd').map(Number));
  const files: number[] = [];
  let next = openSync('/dev/null', 'r');
  while (next < highest) {
    files.push(next);
    next = openSync('/dev/null', 'r');
  }
  closeSync(next);
  return {
    next,
    [Symbol.dispose]: () => {
      for (const fd of files) closeSync(fd);
    },
  };
}

/** From now on the agent makes each connection, and the pool keeps its sockets. */
async function bypassPool(agent: PoolAgent, port: number): Promise<void> {
  await agent.put('route', '[]');
  await agent.run('advance()');
  const before = await agent.connects();
  for (let i = 1; i <= 2; i++) {
    await greeting(port);
    assert.equal(await agent.connects(), before + i);
  }
}

/** Prints what it is greeted with on the port that it reads. */
const CLIENT = `
import socket
print('ready', flush=True)
port = int(input())
print(socket.create_connection(('127.0.0.1', port)).makefile().readline(), flush=True)`;

describe('sockets of a pool', () => {
  it('are closed before a port waits for descriptors', async () => {
    const limited = limitFiles(400);
    const made = PoolPair.make();
    // What the engine's ports may have is read when it is made: 304, of which 38 are a reserve.
    limited[Symbol.dispose]();
    await using side = await made;
    const { pair, agent } = side;
    const { port } = pair.publish(await agent.number("serve_echo('inside')"));
    await pair.fill(agent, port);
    await bypassPool(agent, port);
    const batches = await agent.number('state.batches');
    const sockets: Socket[] = [];
    // Two descriptors each; beside the 16 of the pool there are enough for 124.
    for (let i = 0; i < 131; i++) sockets.push(await greeted(port));
    assert.deepEqual(pair.parent.of('port-state'), []);
    assert.equal(await agent.number('state.batches'), batches);
    for (const socket of sockets) socket.destroy();
  });

  it('are closed when the process has no descriptors, and the port accepts again', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const { id, port } = pair.publish(await agent.number("serve_echo('inside')"));
    const client = spawn('python3', ['-c', CLIENT], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    client.stdout.on('data', (data) => {
      output += String(data);
    });
    await waitFor(() => output === 'ready\n', { what: 'the client' });
    await pair.fill(agent, port);
    // Each that is closed later frees numbers.
    await waitFor(() => pair.parent.engine.counters(id)?.open === 0, { what: 'the end of connections' });
    {
      const gaps = fillGaps();
      using _limit = limitFiles(gaps.next);
      // Before the limit, since setting it takes a descriptor or two.
      using _gaps = gaps;
      client.stdin.write(`${port}\n`);
      await waitFor(() => /inside/.test(output), { what: 'the greeting' });
    }
    client.stdin.end();
    assert.deepEqual(
      pair.parent.of('port-state').map((event) => [event.port, event.reason === '']),
      [
        [id, false],
        [id, true],
      ],
    );
  });
});
