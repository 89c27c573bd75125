/** Sockets of the pool, which nobody uses yet, are the first to be closed where there are no descriptors left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { waitFor } from '../../../support/index.js';
import { greeted, greeting, type PoolAgent, PoolPair } from '../../../support/stacks/pool-agent.js';

/** Sets the soft limit of open files of the process with that id to what it reads. */
const LIMITER = `
import resource, sys
pid = int(sys.argv[1])
soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
print(soft, flush=True)
for line in sys.stdin:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (int(line), hard))
    print(int(line), flush=True)`;

/**
 * Limits the open files of this process, until the end of the block: by another process, which is there before, since a
 * process without descriptors can start none, and would stay without them.
 */
class FileLimit implements AsyncDisposable {
  readonly #process = spawn('python3', ['-c', LIMITER, `${process.pid}`], { stdio: ['pipe', 'pipe', 'inherit'] });
  readonly #lines = createInterface(this.#process.stdout)[Symbol.asyncIterator]();
  #usual = '';

  static async make(): Promise<FileLimit> {
    const limit = new FileLimit();
    limit.#usual = (await limit.#lines.next()).value;
    return limit;
  }

  async set(limit: number | string): Promise<void> {
    this.#process.stdin.write(`${limit}\n`);
    assert.equal((await this.#lines.next()).value, `${limit}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.set(this.#usual);
    const ended = once(this.#process, 'close');
    this.#process.stdin.end();
    await ended;
  }
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

/** What the engine's ports may have is read when it is made; of that a part is a reserve. */
async function limitedPair(files: number): ReturnType<typeof PoolPair.make> {
  await using limit = await FileLimit.make();
  await limit.set(files);
  return await PoolPair.make();
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
    await using side = await limitedPair(400);
    const { pair, agent } = side;
    const { port } = pair.publish(await agent.number("serve_echo('inside')"));
    await pair.fill(agent, port);
    await bypassPool(agent, port);
    const batches = await agent.number('state.batches');
    const sockets: Socket[] = [];
    // 304 for ports, of which 38 are a reserve. Two descriptors each; beside the 16 of the pool there are enough for 124.
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
      await using limit = await FileLimit.make();
      using gaps = fillGaps();
      await limit.set(gaps.next);
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
