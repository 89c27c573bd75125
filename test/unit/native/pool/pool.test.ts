/** Connections that the parent makes with sockets of the agent, without asking it for each. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { waitFor } from '../../../support/index.js';
import { greeting, PoolPair } from '../../../support/stacks/pool-agent.js';

const openDescriptors = () => readdirSync('/proc/self/fd').length;

describe('a pool of sockets', () => {
  it('serves connections without the agent, one after the other and many at once', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const { port } = pair.publish(await agent.number("serve('inside')"));
    await pair.fill(agent, port);
    const before = await agent.connects();
    for (let i = 0; i < 5; i++) assert.equal(await greeting(port), 'inside 127.0.0.1');
    assert.equal(await agent.connects(), before);
    const answers = await Promise.all(Array.from({ length: 300 }, () => greeting(port)));
    assert.deepEqual([...new Set(answers)], ['inside 127.0.0.1']);
    assert.deepEqual(pair.parent.log, []);
  });

  for (const [what, stop] of [
    ['stopped', 'SIGSTOP'],
    ['dead', 'SIGKILL'],
  ] as const) {
    it(`serves connections while the agent is ${what}`, async () => {
      await using side = await PoolPair.make();
      const { pair, agent } = side;
      // The server has to outlive the agent.
      const inside = await agent.number("serve_apart('inside')");
      const { port } = pair.publish(inside);
      await pair.fill(agent, port);
      if (stop === 'SIGKILL') await agent.kill();
      else agent.child.kill(stop);
      for (let i = 0; i < 4; i++) assert.equal(await greeting(port), 'inside 127.0.0.1');
    });
  }

  it('leaves refused connections to the agent, which reports the reason', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    await pair.fill(agent, pair.publish(await agent.number("serve('inside')")).port);
    pair.parent.engine.watchConnections(true);
    const { port } = pair.publish(9);
    assert.equal(await greeting(port), '');
    const { reason } = await pair.parent.wait('connection-refused');
    assert.equal(reason, 'as the agent reports it');
  });

  it('tries the addresses of a route in their order', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const inside = await agent.number("serve('second', '127.0.0.3')");
    await agent.put('ips', "['127.0.0.2', '127.0.0.3']");
    await pair.fill(agent, pair.publish(await agent.number("serve('first', '127.0.0.2')")).port);
    const before = await agent.connects();
    assert.equal(await greeting(pair.publish(inside).port), 'second 127.0.0.1');
    assert.equal(await agent.connects(), before);
  });

  it('waits for a server that does not answer at once, and for one that never does only as long as its client', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const good = pair.publish(await agent.number("serve('inside')"));
    await pair.fill(agent, good.port);
    const before = await agent.connects();
    const slow = pair.publish(await agent.number('deaf()'));
    const waiting = greeting(slow.port);
    assert.equal(await greeting(good.port), 'inside 127.0.0.1');
    // The queue has room again: the next attempt of the kernel succeeds.
    await agent.run("undeaf('at last')");
    assert.equal(await waiting, 'at last 127.0.0.1');
    assert.equal(await agent.connects(), before);
  });

  it('uses no route any more that the agent has revoked, whether it answers or not', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const port = await agent.number("serve('first', '127.0.0.2')");
    await agent.run(`serve('second', '127.0.0.3', ${port})`);
    await agent.put('ips', "['127.0.0.2']");
    const published = pair.publish(port);
    await pair.fill(agent, published.port);
    assert.equal(await greeting(published.port), 'first 127.0.0.1');

    await agent.put('answers', 'False');
    await agent.put('ips', "['127.0.0.3']");
    await agent.run('advance()');
    const before = await agent.connects();
    assert.equal(await greeting(published.port), 'second 127.0.0.1');
    assert.equal(await agent.connects(), before + 1);

    // An answer that was found before the next change is not used, either.
    await agent.put('answers', 'True');
    await agent.run('advance(current=False)');
    for (let i = 0; i < 5; i++) assert.equal(await greeting(published.port), 'second 127.0.0.1');
    assert.equal(await agent.connects(), before + 6);
    await agent.run('advance()');
    await pair.fill(agent, published.port);
    assert.equal(await greeting(published.port), 'second 127.0.0.1');
  });

  it('asks the agent for each connection of a route without addresses', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const { port } = pair.publish(await agent.number("serve('inside')"));
    await agent.put('route', '[]');
    for (let i = 1; i <= 5; i++) {
      assert.equal(await greeting(port), 'inside 127.0.0.1');
      assert.equal(await agent.connects(), i);
    }
    assert.equal(await agent.number('state.routes'), 1);
    assert.equal(await agent.number('state.batches'), 0);
  });

  it('drops the sockets and routes of an agent that is replaced', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const inside = await agent.number("serve('old')");
    const { port } = pair.publish(inside);
    await pair.fill(agent, port);
    const next = await pair.newAgent();
    await next.run(`serve('new', port=${inside})`);
    assert.equal(await greeting(port), 'new 127.0.0.1');
    await pair.fill(next, port);
    assert.equal(await greeting(port), 'new 127.0.0.1');
    assert.deepEqual(pair.parent.log, []);
  });

  it('works on without sockets where the agent cannot make any', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    await agent.put('make', 'lambda family, count: []');
    const { port } = pair.publish(await agent.number("serve('inside')"));
    for (let i = 0; i < 20; i++) assert.equal(await greeting(port), 'inside 127.0.0.1');
    assert.equal(await agent.connects(), 20);
    // It is not asked in vain for each connection.
    assert((await agent.number('state.batches')) < 5);
    await agent.put('make', 'make');
    await pair.fill(agent, port);
  });

  it('serves a port that is published again after it was removed, and none that is not', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const inside = await agent.number("serve('inside')");
    const first = pair.publish(inside);
    await pair.fill(agent, first.port);
    pair.parent.engine.removePorts(first.id, 1);
    pair.parent.engine.forgetPlan(first.target);
    await pair.parent.wait('port-closed');
    assert.equal(await greeting(first.port), '');
    const routes = await agent.number('state.routes');
    const second = pair.publish(inside);
    await pair.fill(agent, second.port);
    assert.equal(await agent.number('state.routes'), routes + 1);
  });

  it('holds sockets while it is used, and closes them when it is not', async function () {
    this.timeout(60_000);
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    const { port } = pair.publish(await agent.number("serve('inside')"));
    const before = openDescriptors();
    await pair.fill(agent, port);
    await waitFor(() => openDescriptors() > before + 8, { what: 'sockets in the pool' });
    await waitFor(() => openDescriptors() <= before, { what: 'the pool to be emptied', timeout: 40_000 });
    await pair.fill(agent, port);
  });
});
