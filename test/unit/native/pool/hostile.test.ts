/** An agent that misuses the pool costs its own connections, and reaches nothing but its own namespaces. */
import assert from 'node:assert/strict';
import { waitFor } from '../../../support/index.js';
import { localServer } from '../../../support/stacks/engine-side.js';
import { greeting, PoolPair } from '../../../support/stacks/pool-agent.js';

/** A server of the host, at a port at which the agent has one, too. */
async function both(pair: PoolPair, agent: Awaited<ReturnType<PoolPair['newAgent']>>) {
  const host = await localServer((socket) => socket.end('host 127.0.0.1\n'));
  await agent.run(`serve('inside', port=${host.port})`);
  return { published: pair.publish(host.port), [Symbol.asyncDispose]: () => host[Symbol.asyncDispose]() };
}

describe('an agent that sends for the pool', () => {
  const cases: Record<string, [make: string, log: RegExp | undefined]> = {
    "sockets of the host's namespace": ['of_host[:count]', undefined],
    "a socket of the host's namespace among its own": ['[fresh(), fresh(), of_host[0]]', /a socket of the host/],
    'a socket of another namespace among its own': ['[fresh(), elsewhere()]', /a socket of another network namespace/],
    'UDP sockets': ['[fresh(kind=socket.SOCK_DGRAM, protocol=UDP)]', /no TCP socket/],
    'MPTCP sockets': ['[fresh(protocol=MPTCP)]', /no TCP socket/],
    'raw sockets of TCP': ['[fresh(kind=socket.SOCK_RAW)]', /no TCP socket/],
    'Unix sockets': ['[socket.socket(socket.AF_UNIX)]', /no TCP socket/],
    'a file': ["[open('/dev/null')]", /no TCP socket/],
    'connected sockets': ['[connected()]', /a socket that is in use/],
    'listening sockets': ['[listening()]', /a socket that is in use/],
    'bound sockets': ['[bound()]', /a socket that is bound/],
    'sockets of the other family': ['[fresh(socket.AF_INET6)]', /a socket of another family/],
  };
  for (const [what, [make, log]] of Object.entries(cases)) {
    it(`${what} makes each connection by itself`, async () => {
      await using side = await PoolPair.make();
      const { pair, agent } = side;
      await agent.put('make', `lambda family, count: ${make}`);
      await using server = await both(pair, agent);
      const { port } = server.published;
      // Until the sockets have come.
      await waitFor(
        async () => {
          assert.equal(await greeting(port), 'inside 127.0.0.1');
          return (await agent.number('state.batches')) > 0;
        },
        { what: 'the request for sockets' },
      );
      if (log) assert.match((await pair.parent.wait('log')).text, log);
      const before = await agent.connects();
      for (let i = 1; i <= 5; i++) assert.equal(await greeting(port), 'inside 127.0.0.1');
      // Where there is no line the first of them may precede the sockets.
      assert.equal(await agent.connects(), before + 5);
      assert.equal(await agent.number('state.batches'), 1);
      assert(pair.parent.log.length <= 1, pair.parent.log.join('\n'));
    });
  }

  const packets: Record<string, string> = {
    'sockets that were not requested': 'send([4, 99], [fresh()])',
    'more descriptors than are requested': 'send([2, 99], [fresh() for _ in range(20)])',
    'an answer beside the sockets': 'up.sendmsg([pack([4, 99]) + pack([2, 99])])',
    'a route with too many addresses': "send([5, 1, 1, 0, 0, 0, ['127.0.0.1'] * 9])",
  };
  for (const [what, call] of Object.entries(packets)) {
    it(`${what} is replaced`, async () => {
      await using side = await PoolPair.make();
      const { pair, agent } = side;
      // It ends with its channel.
      agent.child.stdin.write(`${call}\n`);
      const { reason } = await pair.parent.wait('channel-closed');
      assert.match(reason, /^invalid packet/);
    });
  }
});

describe('sockets that the agent changes while they are in the pool', () => {
  const changes: Record<string, string> = {
    'connects to another server': "each(lambda s: s.connect_ex(('127.0.0.1', others)))",
    'makes listen': 'each(lambda s: s.listen())',
    'binds to a port': "each(lambda s: s.bind(('127.0.0.1', 0)))",
    'gives SO_LINGER': "each(lambda s: s.setsockopt(1, 13, struct.pack('ii', 1, 600)))",
    'makes blocking': 'each(blocking)',
  };
  for (const [what, change] of Object.entries(changes)) {
    it(`which it ${what}, reach the right server or go through the agent`, async () => {
      await using side = await PoolPair.make();
      const { pair, agent } = side;
      await using server = await both(pair, agent);
      await pair.fill(agent, server.published.port);
      await agent.run(change);
      for (let i = 0; i < 20; i++) assert.equal(await greeting(server.published.port), 'inside 127.0.0.1');
    });
  }

  it('and makes block do not hold up others', async () => {
    await using side = await PoolPair.make();
    const { pair, agent } = side;
    await using server = await both(pair, agent);
    await pair.fill(agent, server.published.port);
    const deaf = pair.publish(await agent.number('deaf()'));
    await agent.run('each(blocking)');
    const waiting = greeting(deaf.port);
    assert.match((await pair.parent.wait('log')).text, /changes the sockets that the agent has made/);
    // The agent has tried it since; it makes all others, too.
    assert.equal(await waiting, '');
    const before = await agent.connects();
    assert.equal(await greeting(server.published.port), 'inside 127.0.0.1');
    assert.equal(await agent.connects(), before + 1);
  });
});
