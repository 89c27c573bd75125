/** Each thread of an engine has a pool and a watchdog of its own. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { echo, waitFor } from '../../../support/index.js';
import { greeted, greeting, type PoolAgent, PoolPair } from '../../../support/stacks/pool-agent.js';

const THREADS = 3;

/** So many on each thread, open at once. */
async function openOnEach(port: number, each: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let i = 0; i < each * THREADS; i++) sockets.push(await greeted(port));
  return sockets;
}

/** Opens connections until those of no thread need the agent. */
async function fillAll(agent: PoolAgent, port: number): Promise<void> {
  const withoutAgent = async () => {
    const before = await agent.connects();
    const sockets = await openOnEach(port, 1);
    for (const socket of sockets) socket.destroy();
    return (await agent.connects()) === before;
  };
  await waitFor(withoutAgent, { what: 'a connection without the agent on each thread' });
}

describe('pools of several threads', () => {
  it('serve connections without the agent, and none by a route that was revoked', async () => {
    await using side = await PoolPair.make({ threads: THREADS });
    const { pair, agent } = side;
    const { port } = pair.publish(await agent.number("serve_echo('inside')"));
    await fillAll(agent, port);
    const before = await agent.connects();
    const sockets = await openOnEach(port, 2);
    assert.equal(await agent.connects(), before);

    await agent.put('answers', 'False');
    await agent.run('advance()');
    sockets.push(...(await openOnEach(port, 1)));
    assert.equal(await agent.connects(), before + THREADS);
    for (const socket of sockets) {
      assert.equal(await echo(socket, 'hello'), 'hello');
      socket.destroy();
    }
    assert.deepEqual(pair.parent.log, []);
  });

  it('are given up on all of them when sockets block, which holds up no connection of any', async () => {
    await using side = await PoolPair.make({ threads: THREADS });
    const { pair, agent } = side;
    const { port } = pair.publish(await agent.number("serve_echo('inside')"));
    const deaf = pair.publish(await agent.number('deaf()'));
    await fillAll(agent, port);
    const open = await openOnEach(port, 2);
    await agent.run('each(blocking)');
    // One on each thread: connect(2) blocks there.
    const waiting = Promise.all(Array.from({ length: THREADS }, () => greeting(deaf.port)));
    assert.match((await pair.parent.wait('log')).text, /changes the sockets that the agent has made/);
    for (const socket of open) assert.equal(await echo(socket, 'still here'), 'still here');
    // The agent has tried each again since.
    assert.deepEqual(
      await waiting,
      Array.from({ length: THREADS }, () => ''),
    );
    const before = await agent.connects();
    open.push(...(await openOnEach(port, 1)));
    assert.equal(await agent.connects(), before + THREADS);
    assert.equal(pair.parent.log.length, 1, pair.parent.log.join('\n'));
    for (const socket of open) socket.destroy();
  });
});
